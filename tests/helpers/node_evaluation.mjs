// Evaluates expressions for node.py, one a line of the standard input: {load} imports a module as the
// global `module`, {expression, argument} calls a function or returns a value.

import { createInterface } from "node:readline";

globalThis.window = globalThis; // a module's own globals are those of a page

/** What JSON has no words for: NaN, the infinities and the negative zero; typed arrays are lists. */
function plain(_, value) {
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return Array.from(value);
  const isSpecial = typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0));
  return isSpecial ? { number: Object.is(value, -0) ? "-0" : String(value) } : value;
}

async function answer({ load, expression, argument }) {
  if (load) {
    globalThis.module = await import(load);
    return null;
  }
  const value = (0, eval)(`(${expression})`);
  return typeof value === "function" ? value((0, eval)(`(${argument})`)) : value;
}

for await (const line of createInterface({ input: process.stdin })) {
  let reply;
  try {
    reply = { value: (await answer(JSON.parse(line))) ?? null };
  } catch (error) {
    reply = { error: error.stack };
  }
  console.log(JSON.stringify(reply, plain));
}
