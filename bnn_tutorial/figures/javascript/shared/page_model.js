// The model of a figure on a page without a kernel: it holds the traits that Python gave the page, and
// answers like the model of a live widget (get, set, on, off, save_changes), so that one module serves
// both. Used by the HTML form of every figure (figure.py).

/** A trait of bytes crosses the page as base64 and arrives, as from a kernel, as a DataView. */
function decoded(value) {
  if (typeof value?.base64 !== "string") return value;
  const bytes = Uint8Array.from(atob(value.base64), (character) => character.charCodeAt(0));
  return new DataView(bytes.buffer);
}

export class PageModel {
  #traits;
  #listeners = new Map();

  constructor(traits) {
    this.#traits = Object.fromEntries(
      Object.entries(traits).map(([name, value]) => [name, decoded(value)]),
    );
  }

  get(name) {
    return this.#traits[name];
  }

  set(name, value) {
    if (this.#traits[name] === value) return;
    this.#traits[name] = value;
    for (const event of [`change:${name}`, "change"])
      for (const listener of [...(this.#listeners.get(event) ?? [])]) listener();
  }

  on(event, listener) {
    if (!this.#listeners.has(event)) this.#listeners.set(event, new Set());
    this.#listeners.get(event).add(listener);
  }

  off(event, listener) {
    this.#listeners.get(event)?.delete(listener);
  }

  /** Nobody waits for the changes: there is no kernel. */
  save_changes() {}
}
