// From a reader's strokes to the 28x28 image that the networks see, prepared as MNIST was (LeCun et
// al. 1998): in a box of 20 pixels, its centre of mass in the middle. Used by "Draw a digit".

import { SIDE } from "../shared/images.js";

/** @typedef {[x: number, y: number][]} Stroke of a pen, as the places it passes */

const BOX = 20;
const BRUSH = 1.4; // the pen's radius in pixels; its edge is one pixel soft
const LARGEST_SCALE = 84; // pixels for the whole canvas: a dot stays a dot

/**
 * Put ink on `image` along the strokes, whose points are in pixels.
 *
 * @param {Float32Array} image
 * @param {Stroke[]} strokes
 */
function ink(image, strokes) {
  const reach = BRUSH + 1;
  for (const stroke of strokes)
    for (let i = 0; i < stroke.length; i++) {
      const [x0, y0] = stroke[Math.max(i - 1, 0)];
      const [x1, y1] = stroke[i];
      const length2 = (x1 - x0) ** 2 + (y1 - y0) ** 2;
      const [left, right] = [Math.min(x0, x1) - reach, Math.max(x0, x1) + reach];
      const [top, bottom] = [Math.min(y0, y1) - reach, Math.max(y0, y1) + reach];
      for (let row = Math.max(0, Math.floor(top)); row < Math.min(SIDE, bottom); row++)
        for (let column = Math.max(0, Math.floor(left)); column < Math.min(SIDE, right); column++) {
          const [x, y] = [column + 0.5 - x0, row + 0.5 - y0];
          const along = length2 ? (x * (x1 - x0) + y * (y1 - y0)) / length2 : 0;
          const nearest = Math.min(Math.max(along, 0), 1);
          const distance = Math.hypot(x - nearest * (x1 - x0), y - nearest * (y1 - y0));
          const cover = Math.min(Math.max(BRUSH + 0.5 - distance, 0), 1);
          const at = row * SIDE + column;
          if (cover > image[at]) image[at] = cover;
        }
    }
}

/**
 * Return the image of strokes, whose points are between 0 and 1, y downwards.
 *
 * @param {Stroke[]} strokes
 */
export function rasterize(strokes) {
  const image = new Float32Array(SIDE * SIDE);
  const points = strokes.flat();
  if (points.length === 0) return image;
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
  const longest = Math.max(right - left, bottom - top);
  const scale = Math.min((BOX - 2 * BRUSH) / longest, LARGEST_SCALE);
  /**
   * @param {number} middleX
   * @param {number} middleY
   */
  const around = (middleX, middleY) =>
    strokes.map((stroke) =>
      stroke.map(
        /** @returns {[number, number]} */
        ([x, y]) => [
          (x - (left + right) / 2) * scale + middleX,
          (y - (top + bottom) / 2) * scale + middleY,
        ],
      ),
    );
  ink(image, around(SIDE / 2, SIDE / 2));
  let [mass, massX, massY] = [0, 0, 0];
  image.forEach((value, at) => {
    mass += value;
    massX += value * ((at % SIDE) + 0.5);
    massY += value * (Math.floor(at / SIDE) + 0.5);
  });
  image.fill(0);
  ink(image, around(SIDE - massX / mass, SIDE - massY / mass));
  return image;
}
