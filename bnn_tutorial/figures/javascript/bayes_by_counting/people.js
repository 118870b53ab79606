// Two panels with a mark for each person, and the way of the marks from one panel to the other.

import { prefersStill } from "../shared/controls.js";
import { setAttributes, svg } from "../shared/plot.js";

/**
 * @import { Controls } from "../shared/controls.js"
 * @import { Counts } from "./counting.js"
 */

/**
 * @typedef {{ x: number, y: number, size: number }} Place of a mark, in pixels
 * @typedef {{ from: Place, to: Place }} Move
 */

const [WIDTH, HEIGHT] = [40, 25]; // of a panel, in marks when all people stand there
const CROSSING_TIME = 800; // milliseconds

// Shape and colour of a mark tell the health; it is large and full for a positive test. A line of
// almost no length is drawn as its cap, round or square: a mark in ten characters.
/** @type {{ key: keyof Counts, name: string, shape: string }[]} */
export const GROUPS = [
  { key: "illPositive", name: "ill-positive", shape: "h.01" },
  {
    key: "illNegative",
    name: "ill-negative",
    shape: "m-.34 0a.34 .34 0 1 0 .68 0a.34 .34 0 1 0-.68 0",
  },
  { key: "healthyPositive", name: "healthy-positive", shape: "h.01" },
  { key: "healthyNegative", name: "healthy-negative", shape: "h.01" },
];

/**
 * Return the fewest columns, so the largest marks, that hold `count` marks in a panel.
 *
 * @param {number} count
 */
export function columnsFor(count) {
  let columns = 8;
  while (columns * Math.floor((columns * HEIGHT) / WIDTH) < count) columns++;
  return columns;
}

/**
 * Return one mark, to stand in a line of text.
 *
 * @param {{ name: string, shape: string }} group
 */
export function mark({ name, shape }) {
  const path = svg("path", { d: `M0 0${shape}`, class: name });
  return svg("svg", { class: "person", viewBox: "-.5 -.5 1 1", "aria-hidden": "true" }, path);
}

/** A mark for each person, group after group. */
class Panel {
  #paths = GROUPS.map(({ name }) => svg("path", { class: name }));
  #marks = svg("g", {}, ...this.#paths);
  #columns = columnsFor(0);
  node = svg(
    "svg",
    { class: "people", role: "img", viewBox: `0 0 ${WIDTH} ${HEIGHT}` },
    this.#marks,
  );

  /**
   * Put so many marks of each group there.
   *
   * @param {Counts} counts
   * @param {string} description
   */
  show(counts, description) {
    const columns = columnsFor(Object.values(counts).reduce((sum, count) => sum + count));
    setAttributes(this.#marks, { transform: `scale(${WIDTH / columns}) translate(.5 .5)` });
    let place = 0;
    GROUPS.forEach(({ key, shape }, i) => {
      let d = "";
      for (const end = place + counts[key]; place < end; place++)
        d += `M${place % columns} ${Math.floor(place / columns)}${shape}`;
      setAttributes(this.#paths[i], { d });
    });
    setAttributes(this.node, { "aria-label": description });
    this.#columns = columns;
  }

  /**
   * Return where in `frame` the mark with this number stands.
   *
   * @param {DOMRect} frame
   * @returns {(number: number) => Place}
   */
  places(frame) {
    const { a: scale, e: left, f: top } = /** @type {DOMMatrix} */ (this.node.getScreenCTM());
    const columns = this.#columns;
    const size = (scale * WIDTH) / columns;
    return (number) => ({
      x: left - frame.x + ((number % columns) + 0.5) * size,
      y: top - frame.y + (Math.floor(number / columns) + 0.5) * size,
      size,
    });
  }
}

/** Everyone in one panel, in the other those who test positive, and their way from one to the other. */
export class Panels {
  everyone = new Panel();
  positives = new Panel();
  /** @type {Counts | null} */
  #counts = null;
  #paths = ["ill-positive", "healthy-positive"].flatMap((name) =>
    ["leave", "join", "stay"].map((how) => svg("path", { class: `${name} ${how}` })),
  );
  #air = svg("svg", { class: "air", "aria-hidden": "true" }, ...this.#paths);
  /** @type {Move[][]} */
  #moves = [];
  #passed = 0; // milliseconds of the crossing

  /**
   * @param {HTMLElement} node that holds both panels
   * @param {Pick<Controls<any>, "frames">} controls
   */
  constructor(node, controls) {
    this.node = node;
    this.frames = controls.frames(node, (passed) => {
      this.#passed += passed;
      if (this.#passed < CROSSING_TIME) this.#draw();
      else this.#arrive();
    });
  }

  /**
   * Show the people; who changes the panel is seen on the way, unless the reader wants no motion.
   *
   * @param {Counts} counts
   * @param {[everyone: string, positives: string]} descriptions
   */
  show(counts, descriptions) {
    const before = this.#counts;
    this.#arrive();
    const crosses = before && !prefersStill() && this.node.getBoundingClientRect().width > 0;
    const frame = this.node.getBoundingClientRect();
    const placeBefore = crosses ? this.positives.places(frame) : null;
    this.everyone.show(counts, descriptions[0]);
    this.positives.show({ ...counts, illNegative: 0, healthyNegative: 0 }, descriptions[1]);
    this.#counts = counts;
    if (!crosses || !placeBefore) return;
    const [home, placeNow] = [this.everyone.places(frame), this.positives.places(frame)];
    this.#moves = [
      ...moves(before.illPositive, counts.illPositive, {
        before: placeBefore,
        now: placeNow,
        home,
      }),
      ...moves(before.healthyPositive, counts.healthyPositive, {
        before: (i) => placeBefore(before.illPositive + i),
        now: (i) => placeNow(counts.illPositive + i),
        home: (i) => home(counts.illPositive + counts.illNegative + i),
      }),
    ];
    if (this.#moves.flat().every(({ from, to }) => from.x === to.x && from.y === to.y)) return;
    this.#passed = 0;
    this.node.append(this.#air);
    this.node.classList.add("crossing");
    this.#draw();
    this.frames.start();
  }

  #arrive() {
    this.frames.stop();
    this.#air.remove();
    this.node.classList.remove("crossing");
  }

  #draw() {
    const time = this.#passed / CROSSING_TIME;
    const share = time < 0.5 ? 2 * time ** 2 : 1 - 2 * (1 - time) ** 2;
    /**
     * @param {number} from
     * @param {number} to
     */
    const between = (from, to) => from + share * (to - from);
    this.#moves.forEach((list, i) => {
      // All of a list begin at one size and end at one size, so that they share a scale.
      const scale = list.length ? between(list[0].from.size, list[0].to.size) : 1;
      const d = list.map(({ from, to }) => {
        const [x, y] = [between(from.x, to.x), between(from.y, to.y)];
        return `M${(x / scale).toFixed(2)} ${(y / scale).toFixed(2)}h.01`;
      });
      setAttributes(this.#paths[i], { d: d.join(""), transform: `scale(${scale})` });
    });
  }
}

/**
 * Return how the marks of a group move that were `before` and are `now` among the positive: those
 * who leave them, who join them and who stay.
 *
 * @param {number} before
 * @param {number} now
 * @param {Record<"before" | "now" | "home", (number: number) => Place>} places among the positive,
 *   before and now, and among everyone
 * @returns {Move[][]}
 */
function moves(before, now, places) {
  /**
   * @param {number} first
   * @param {number} end
   * @param {(number: number) => Move} move
   */
  const each = (first, end, move) =>
    Array.from({ length: Math.max(end - first, 0) }, (_, i) => move(first + i));
  return [
    each(now, before, (i) => ({ from: places.before(i), to: places.home(i) })),
    each(before, now, (i) => ({ from: places.home(i), to: places.now(i) })),
    each(0, Math.min(before, now), (i) => ({ from: places.before(i), to: places.now(i) })),
  ];
}
