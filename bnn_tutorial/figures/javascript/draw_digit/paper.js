// The paper of "Draw a digit": it shows a sample, a test digit or a letter, or the reader's own
// strokes, turned. It takes strokes from mouse, finger and pen, or from the arrow keys and the space
// bar; the first clears the sample.

import { html, unusedName } from "../shared/controls.js";
import { brush, readImages, rotate, show, SIDE } from "../shared/images.js";
import { rasterize } from "./drawing.js";

/**
 * @import { Traits } from "../draw_digit.js"
 * @import { Controls } from "../shared/controls.js"
 * @import { Model } from "../shared/page_model.js"
 * @import { Stroke } from "./drawing.js"
 */

const PIXELS = 448; // of the paper's side, 16 for each that the networks see
const STEP = 0.04; // of an arrow key, as a share of the paper's side
/** @type {Record<string, [number, number]>} */
const DIRECTIONS = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** @param {number} share */
const within = (share) => Math.min(Math.max(share, 0), 1);

export class Paper {
  #model;
  #controls;
  #changed;
  /** @type {Record<string, Float32Array | undefined>} by the digit's name */
  #digits;
  /** @type {Stroke | null} */
  #stroke = null; // the one being drawn
  /** @type {{ example: string, angle: number } | null} */
  #cleared = null; // the sample that the first stroke took away
  #pen = { x: 0.5, y: 0.5, visible: false };
  #scratch = html("canvas", { width: SIDE, height: SIDE });

  /**
   * @param {Model<Traits>} model
   * @param {Controls<Traits>} controls
   * @param {() => void} changed called whenever the strokes have changed, also while one is drawn
   */
  constructor(model, controls, changed) {
    this.#model = model;
    this.#controls = controls;
    this.#changed = changed;
    this.#digits = Object.fromEntries(readImages(model.get("digit_pixels")).entries());
    const [hint, keys] = [unusedName(), unusedName()];
    const words = "Arrows move the pen, space lowers and lifts it, Ctrl+Z undoes a stroke.";
    this.hint = html("p", { id: hint, class: "hint live" });
    this.keys = html("p", { id: keys, class: "keys live" }, words);
    this.canvas = html("canvas", {
      class: "paper",
      width: PIXELS,
      height: PIXELS,
      tabIndex: 0,
      role: "application",
      "aria-describedby": `${hint} ${keys}`,
    });
    this.#listen();
  }

  /** Return the image that the networks see. */
  image() {
    return rotate(this.#digit() ?? rasterize(this.#strokes()), this.#model.get("angle"));
  }

  /** Say what is on the paper. */
  name() {
    const example = this.#model.get("example");
    if (this.#digit()) return `test digit ${example}`;
    if (this.#strokes().length === 0) return "an empty sheet";
    return example ? `letter ${example}` : "your drawing";
  }

  /** Draw what is shown, turned as a whole, and the keyboard's pen, and say what a stroke will do. */
  paint() {
    if (this.#model.get("example"))
      this.hint.replaceChildren(
        html("b", {}, "Draw a digit here:"),
        " your first stroke starts a clean sheet.",
      );
    else if (this.#strokes().length === 0)
      this.hint.replaceChildren(html("b", {}, "Draw a digit here"), ", by mouse, finger or pen.");
    else this.hint.textContent = "Your drawing: add strokes, or take the last one back.";
    const context = brush(this.canvas);
    context.reset();
    context.fillStyle = "white";
    context.fillRect(0, 0, PIXELS, PIXELS);
    context.translate(PIXELS / 2, PIXELS / 2);
    context.rotate((-this.#model.get("angle") * Math.PI) / 180);
    context.translate(-PIXELS / 2, -PIXELS / 2);
    const digit = this.#digit();
    if (digit) {
      show(digit, this.#scratch);
      context.drawImage(this.#scratch, 0, 0, PIXELS, PIXELS);
    } else {
      context.lineWidth = PIXELS / 10;
      context.lineCap = context.lineJoin = "round";
      for (const points of this.#strokes()) {
        context.beginPath();
        // From a hair beside the first point: a canvas does not paint a dot without any length.
        context.moveTo(points[0][0] * PIXELS + 0.01, points[0][1] * PIXELS);
        for (const [x, y] of points) context.lineTo(x * PIXELS, y * PIXELS);
        context.stroke();
      }
    }
    if (!this.#pen.visible) return;
    context.resetTransform();
    context.lineWidth = 5;
    context.strokeStyle = "#d55e00";
    context.beginPath();
    const radius = this.#stroke ? 12 : 24;
    context.arc(this.#pen.x * PIXELS, this.#pen.y * PIXELS, radius, 0, 2 * Math.PI);
    context.stroke();
  }

  /**
   * Show an example, or with "" an empty sheet, upright.
   *
   * @param {string} example
   */
  turnTo(example) {
    this.#stroke = this.#cleared = null;
    this.#controls.set({ example, strokes: [], angle: 0 });
  }

  /** Return whether there is a stroke of the reader's to take back. */
  canUndo() {
    return !this.#model.get("example") && this.#strokes().length > 0;
  }

  /** Take the last stroke back, and with the first one bring back the sample that it cleared. */
  undo() {
    if (!this.canUndo()) return;
    const strokes = this.#strokes().slice(0, -1);
    this.#stroke = null;
    this.#controls.set(strokes.length ? { strokes } : { ...this.#cleared, strokes });
  }

  /** Return the test digit's image, where one is shown. */
  #digit() {
    return this.#digits[this.#model.get("example")];
  }

  #strokes() {
    const example = this.#model.get("example");
    const own = example ? [] : this.#model.get("strokes");
    const drawn = this.#model.get("letters")[example] ?? own;
    return this.#stroke ? [...drawn, this.#stroke] : drawn;
  }

  /**
   * Lengthen the stroke to a place on the paper, which may be turned.
   *
   * @param {number} x
   * @param {number} y
   */
  #extend(x, y) {
    const angle = (this.#model.get("angle") * Math.PI) / 180;
    const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
    const [right, down] = [x - 0.5, y - 0.5];
    this.#stroke?.push([
      within(cosine * right - sine * down + 0.5),
      within(sine * right + cosine * down + 0.5),
    ]);
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  #begin(x, y) {
    this.#finish();
    const [example, angle] = [this.#model.get("example"), this.#model.get("angle")];
    if (example) {
      this.turnTo("");
      this.#cleared = { example, angle };
    }
    this.#stroke = [];
    this.#extend(x, y);
  }

  #finish() {
    if (!this.#stroke) return;
    const strokes = this.#strokes();
    this.#stroke = null;
    this.#controls.set({ strokes });
  }

  #listen() {
    const { canvas } = this;
    /**
     * @param {PointerEvent} event
     * @returns {[number, number]}
     */
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    };
    /**
     * @template {keyof HTMLElementEventMap} Type
     * @param {Type} type
     * @param {(event: HTMLElementEventMap[Type]) => void} listener
     */
    const on = (type, listener) =>
      canvas.addEventListener(type, (event) => {
        listener(event);
        this.#changed();
      });
    on("pointerdown", (event) => {
      if (event.button !== 0 || !event.isPrimary) return;
      canvas.setPointerCapture(event.pointerId);
      this.#pen.visible = false;
      this.#begin(...place(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!canvas.hasPointerCapture(event.pointerId)) return;
      this.#extend(...place(event));
      this.#changed();
    });
    on("pointerup", () => this.#finish());
    on("pointercancel", () => this.#finish());
    on("blur", () => {
      this.#finish();
      this.#pen.visible = false;
    });
    on("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z") {
        event.preventDefault();
        event.stopPropagation(); // JupyterLab would undo in its cells
        this.undo();
        return;
      }
      const pen = this.#pen;
      const direction = DIRECTIONS[event.key];
      if (!direction && event.key !== " ") return;
      event.preventDefault();
      pen.visible = true;
      if (direction) {
        pen.x = within(pen.x + STEP * direction[0]);
        pen.y = within(pen.y + STEP * direction[1]);
        if (this.#stroke) this.#extend(pen.x, pen.y);
      } else if (this.#stroke) this.#finish();
      else this.#begin(pen.x, pen.y);
    });
  }
}
