// The model of a figure on a page without a kernel: it holds the traits that Python gave the page,
// and answers like the model of a live widget (get, set, on, off, save_changes), so that one module
// serves both. Used by the HTML form of every figure (figure.py).

/** @import { AnyModel } from "@anywidget/types" */

/**
 * What a figure asks of its model, be it a live widget's or a page's.
 *
 * @template {Record<string, unknown>} Traits
 * @typedef {Pick<AnyModel<Traits>,
 *   "get" | "set" | "on" | "off" | "save_changes">} Model
 */

/**
 * What `render` is called with: the figure's traits, and the element in which it is to be.
 *
 * @template {Record<string, unknown>} Traits
 * @typedef {{ model: Model<Traits>, el: HTMLElement }} Place
 */

/**
 * A trait of bytes crosses the page as base64 and arrives, as from a kernel, as a DataView.
 *
 * @param {unknown} value
 */
function decoded(value) {
  const { base64 } = /** @type {{ base64?: unknown }} */ (value ?? {});
  if (typeof base64 !== "string") return value;
  const characters = atob(base64);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return new DataView(bytes.buffer);
}

export class PageModel {
  #traits;
  /** @type {Map<string, Set<() => void>>} */
  #listeners = new Map();

  /** @param {Record<string, unknown>} traits */
  constructor(traits) {
    this.#traits = Object.fromEntries(
      Object.entries(traits).map(([name, value]) => [name, decoded(value)]),
    );
  }

  /** @param {string} name */
  get(name) {
    return this.#traits[name];
  }

  /**
   * @param {string} name
   * @param {unknown} value
   */
  set(name, value) {
    if (this.#traits[name] === value) return;
    this.#traits[name] = value;
    for (const event of [`change:${name}`, "change"])
      for (const listener of [...(this.#listeners.get(event) ?? [])]) listener();
  }

  /**
   * @param {string} event
   * @param {() => void} listener
   */
  on(event, listener) {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
  }

  /**
   * @param {string} event
   * @param {() => void} listener
   */
  off(event, listener) {
    this.#listeners.get(event)?.delete(listener);
  }

  /** Nobody waits for the changes: there is no kernel. */
  save_changes() {}
}
