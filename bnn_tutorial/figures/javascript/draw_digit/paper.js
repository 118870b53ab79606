// The paper of "Draw a digit": it shows a test digit, a letter or the reader's own strokes, turned,
// and takes strokes from mouse, finger and pen, or from the arrow keys and the space bar.

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
    const id = unusedName();
    const words = "Keys: arrows move the pen, space lowers and lifts it.";
    this.keys = html("p", { id, class: "keys live" }, words);
    this.canvas = html("canvas", {
      class: "paper",
      width: PIXELS,
      height: PIXELS,
      tabIndex: 0,
      role: "application",
      "aria-describedby": id,
    });
    this.#listen();
  }

  /** Return the image that the networks see. */
  image() {
    return rotate(this.#digit() ?? rasterize(this.#strokes()), this.#model.get("angle"));
  }

  /** Say what is on the paper. */
  name() {
    const [example, angle] = [this.#model.get("example"), this.#model.get("angle")];
    const turned = angle % 360 ? `, turned by ${angle}°` : "";
    if (this.#digit()) return `Test digit ${example}${turned}`;
    if (this.#strokes().length === 0) return "An empty page";
    return (this.#stroke || !example ? "Your drawing" : `Letter ${example}`) + turned;
  }

  /** Draw what is shown, turned as a whole, and the keyboard's pen. */
  paint() {
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
   * Show an example, or with "" an empty page, upright.
   *
   * @param {string} example
   */
  turnTo(example) {
    this.#stroke = null;
    this.#controls.set({ example, strokes: [], angle: 0 });
  }

  /** Return the test digit's image, where one is shown. */
  #digit() {
    return this.#stroke ? undefined : this.#digits[this.#model.get("example")];
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
    this.#stroke = [];
    this.#extend(x, y);
  }

  #finish() {
    if (!this.#stroke) return;
    const strokes = this.#strokes();
    this.#stroke = null;
    this.#controls.set({ example: "", strokes });
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
