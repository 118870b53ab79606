// Labelled controls bound to a figure's model, text that a screen reader hears, and a loop of
// frames that rests while nobody can see it.

/** @import { Model } from "./page_model.js" */

/**
 * How a slider's thumb goes with the values of its trait.
 *
 * @typedef {object} Range
 * @property {number} [min]
 * @property {number} [max]
 * @property {number} [step] between two values
 * @property {boolean} [logarithmic] positions go with the logarithm of the value
 * @property {number} [steps] of a logarithmic slider, of equal ratio
 * @property {number[] | null} [stops] the only values, equally far apart, in place of all others
 */

/** Each figure of a page runs a copy of this module, and no two may name a control alike. */
export const unusedName = () => `bnn-control-${Math.random().toString(36).slice(2)}`;

/**
 * Return a new HTML element with properties (`class` and `aria-...` as attributes) and children.
 *
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, unknown>} [properties]
 * @param {...(Node | string)} children
 */
export function html(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties))
    if (key in node) Object.assign(node, { [key]: value });
    else if (value !== null && value !== undefined) node.setAttribute(key, String(value));
  node.append(...children);
  return node;
}

/**
 * Make `el` the place of the figure `name`: its style holds there, and the keys are its own.
 *
 * @param {HTMLElement} el
 * @param {string} name
 */
export function beginFigure(el, name) {
  el.classList.add("bnn-figure", name);
  // JupyterLab would take arrows and letters for its cells: one moves to another cell, x cuts it.
  el.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
  });
}

/** Return whether the reader asked for as little motion as possible. */
export const prefersStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/**
 * Write a number with so many decimals and a true minus sign, which what is rounded to zero has not.
 *
 * @param {number} value
 * @param {number} decimals
 */
export function fixedText(value, decimals) {
  const text = value.toFixed(decimals);
  return text.replace("-", Number(text) === 0 ? "" : "−");
}

/**
 * Write a number with `digits` significant digits, and a true minus sign.
 *
 * @param {number} value
 * @param {number} [digits]
 */
export function numberText(value, digits = 3) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "undefined" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  const text =
    size !== 0 && (size < 1e-4 || size >= 1e6)
      ? value.toExponential(digits - 1).replace(/e\+?(-?)(\d+)/, (_, sign, power) =>
          ` × 10${[...`${sign}${power}`].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"["0123456789-".indexOf(c)]).join("")}`)
      : (Number(value.toPrecision(digits)) || 0).toLocaleString("en", { maximumFractionDigits: 20 }); // -0 is 0
  return text.replace("-", "−");
}

/**
 * Return the positions of a slider's thumb, and how they go with the values of its trait.
 *
 * @param {Range} range
 */
function sliderScale({
  min = 0,
  max = 1,
  step = 1,
  steps = 200,
  logarithmic = false,
  stops = null,
}) {
  if (stops)
    return {
      positions: [0, stops.length - 1],
      step: 1,
      // The nearest stop has as many others below it as middles between two stops are below.
      /** @param {number} value */
      toPosition: (value) => stops.filter((stop, i) => (stops[i - 1] + stop) / 2 < value).length,
      /** @param {number} position */
      toValue: (position) => stops[position],
    };
  /** @param {number} value */
  const same = (value) => value;
  if (!logarithmic) return { positions: [min, max], step, toPosition: same, toValue: same };
  const ratio = Math.log(max / min) / steps;
  /** @param {number} value */
  const rounded = (value) => Number(value.toPrecision(3));
  return {
    positions: [0, steps],
    step: 1,
    /** @param {number} value */
    toPosition: (value) => Math.log(value / min) / ratio,
    /** @param {number} position */
    toValue: (position) =>
      Math.min(Math.max(rounded(min * Math.exp(position * ratio)), min), max),
  };
}

/** @template {Record<string, unknown>} Traits */
export class Controls {
  #model;
  /** @type {(() => void)[]} */
  #ends = [];

  /** @param {Model<Traits>} model */
  constructor(model) {
    this.#model = model;
  }

  /**
   * Call `callback` when one of these traits changes, here or in Python.
   *
   * @param {(keyof Traits & string)[]} names
   * @param {() => void} callback
   */
  onChange(names, callback) {
    for (const name of names) {
      this.#model.on(`change:${name}`, callback);
      this.atEnd(() => this.#model.off(`change:${name}`, callback));
    }
  }

  /**
   * Set traits and tell Python.
   *
   * @param {Partial<Traits>} values
   */
  set(values) {
    for (const [name, value] of Object.entries(values)) this.#model.set(name, value);
    this.#model.save_changes();
  }

  /**
   * Set the trait of one control.
   *
   * @param {keyof Traits & string} name
   * @param {unknown} value
   */
  #choose(name, value) {
    this.set(/** @type {Partial<Traits>} */ ({ [name]: value }));
  }

  /**
   * Call `callback` when the figure is taken away.
   *
   * @param {() => void} callback
   */
  atEnd(callback) {
    this.#ends.push(callback);
  }

  end() {
    this.#ends.splice(0).forEach((callback) => callback());
  }

  /**
   * Return a slider for the trait `name`, labelled, with its value in words.
   *
   * @param {Range & { name: keyof Traits & string, label: string,
   *   text?: (value: number) => string }} options
   */
  slider({ name, label, text = numberText, ...scale }) {
    const id = unusedName();
    const { positions, step, toPosition, toValue } = sliderScale(scale);
    // An output speaks whenever it changes, and the slider itself already says its value.
    const output = html("output", { htmlFor: id, "aria-live": "off" });
    const input = html("input", {
      id,
      type: "range",
      min: positions[0],
      max: positions[1],
      step,
    });
    // A value that Python sets between two steps stays; only the thumb stands at the nearest.
    const show = () => {
      const value = /** @type {number} */ (this.#model.get(name));
      input.value = String(toPosition(value));
      output.textContent = text(value);
      input.setAttribute("aria-valuetext", text(value));
    };
    input.addEventListener("input", () => this.#choose(name, toValue(Number(input.value))));
    this.onChange([name], show);
    show();
    return html(
      "div",
      { class: "control slider" },
      html("label", { htmlFor: id }, label),
      output,
      input,
    );
  }

  /**
   * Return a group of radio buttons for the trait `name`.
   *
   * @template {keyof Traits & string} Name
   * @param {object} choice
   * @param {Name} choice.name
   * @param {string} choice.label
   * @param {{ value: Traits[Name], label: string }[]} choice.options
   */
  choice({ name, label, options }) {
    const group = unusedName();
    const inputs = options.map(({ value }) => {
      const input = html("input", { type: "radio", name: group });
      input.addEventListener("change", () => this.#choose(name, value));
      return input;
    });
    const show = () =>
      options.forEach(({ value }, i) => (inputs[i].checked = value === this.#model.get(name)));
    this.onChange([name], show);
    show();
    return html(
      "fieldset",
      { class: "control choice" },
      html("legend", {}, label),
      ...options.map((option, i) => html("label", {}, inputs[i], html("span", {}, option.label))),
    );
  }

  /**
   * Return a check box for the boolean trait `name`.
   *
   * @param {{ name: keyof Traits & string, label: string }} options
   */
  toggle({ name, label }) {
    const input = html("input", { type: "checkbox" });
    input.addEventListener("change", () => this.#choose(name, input.checked));
    const show = () => (input.checked = Boolean(this.#model.get(name)));
    this.onChange([name], show);
    show();
    // Not "toggle": Sphinx folds away what has that class.
    return html("label", { class: "control check" }, input, html("span", {}, label));
  }

  /**
   * Return text that shows the result: at once to the eye, to a screen reader once it has been the
   * same for a second, so that a slider in motion does not fill the reader's ears.
   */
  liveText() {
    const spoken = html("p", { class: "spoken", role: "status" });
    const seen = html("p", { class: "result" });
    /** @type {number | undefined} */
    let timer;
    this.atEnd(() => clearTimeout(timer));
    return {
      node: html("div", {}, seen, spoken),
      /**
       * Show text or nodes; `words` are what is said, the same text if left out.
       *
       * @param {string | (Node | string)[]} content
       * @param {string | null} [words]
       */
      show(content, words = null) {
        seen.replaceChildren(...[content].flat());
        const said = words ?? seen.textContent;
        clearTimeout(timer);
        if (spoken.textContent === "") spoken.textContent = said; // not news: found, not announced
        timer = setTimeout(() => {
          if (spoken.textContent !== said) spoken.textContent = said;
        }, 1000);
      },
    };
  }

  /**
   * Return a loop that calls `step` each frame while `el` is in sight.
   *
   * @param {Element} el
   * @param {(passed: number) => void} step gets the milliseconds since the last
   */
  frames(el, step) {
    let wanted = false;
    let inSight = false;
    /** @type {number | null} */
    let request = null;
    /** @type {number | null} */
    let last = null;
    /** @param {number} time */
    const tick = (time) => {
      request = requestAnimationFrame(tick);
      const passed = last === null ? 0 : time - last;
      last = time;
      step(passed);
    };
    const update = () => {
      const running = wanted && inSight && document.visibilityState === "visible";
      if (running && request === null) request = requestAnimationFrame(tick);
      if (!running && request !== null) {
        cancelAnimationFrame(request);
        request = last = null;
      }
    };
    const observer = new IntersectionObserver((entries) => {
      inSight = entries[entries.length - 1].isIntersecting;
      update();
    });
    observer.observe(el);
    document.addEventListener("visibilitychange", update);
    /** @param {boolean} value */
    const set = (value) => {
      wanted = value;
      update();
    };
    this.atEnd(() => {
      set(false);
      observer.disconnect();
      document.removeEventListener("visibilitychange", update);
    });
    return { start: () => set(true), stop: () => set(false) };
  }
}

/**
 * Return a push button.
 *
 * @param {string} label
 * @param {() => void} onClick
 * @param {Record<string, unknown>} [properties]
 */
export function button(label, onClick, properties = {}) {
  const node = html("button", { type: "button", ...properties }, label);
  node.addEventListener("click", onClick);
  return node;
}
