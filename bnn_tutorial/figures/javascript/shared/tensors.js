// The tensors of a safetensors file in half precision, as the package writes them for a figure.

/**
 * @typedef {{ shape: number[], values: Float32Array }} Tensor
 * @typedef {Record<string, Tensor>} Tensors by their names in the file
 */

/**
 * Return the tensors of a safetensors file in half precision.
 *
 * The format: the header's length in 8 bytes, the header in JSON, then all numbers.
 *
 * @param {DataView} view
 */
export function readTensors(view) {
  const length = Number(view.getBigUint64(0, true));
  const text = new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + 8, length));
  const single = new Float32Array(1);
  const bits = new Uint32Array(single.buffer);
  /** @type {Record<string, { shape: number[], data_offsets: [number, number] }>} */
  const header = JSON.parse(text);
  /** @type {Tensors} */
  const tensors = {};
  for (const [name, { shape, data_offsets: [start, end] }] of Object.entries(header)) {
    const values = new Float32Array((end - start) / 2);
    for (let i = 0; i < values.length; i++) {
      // Sign, exponent and fraction go where a single has them; its exponents are 112 higher.
      const half = view.getUint16(8 + length + start + 2 * i, true);
      bits[0] = ((half & 0x8000) << 16) | ((half & 0x7fff) << 13);
      values[i] = single[0] * 2 ** 112;
    }
    tensors[name] = { shape, values };
  }
  return tensors;
}
