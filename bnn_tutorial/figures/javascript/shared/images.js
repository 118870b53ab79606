// Images of handwritten digits, 28 x 28 pixels from 0 (paper) to 1 (ink), row by row.

/** The number of pixels in a row, and of rows. */
export const SIDE = 28;

/**
 * Return images from their bytes, one after the other.
 *
 * @param {DataView} bytes
 */
export function readImages(bytes) {
  const size = SIDE * SIDE;
  return Array.from({ length: bytes.byteLength / size }, (_, index) =>
    Float32Array.from({ length: size }, (_, i) => bytes.getUint8(index * size + i) / 255),
  );
}

/**
 * Return what draws on a canvas.
 *
 * @param {HTMLCanvasElement} canvas
 */
export const brush = (canvas) => /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));

/**
 * Show an image of 28x28 as dark ink on white paper.
 *
 * @param {Float32Array} image
 * @param {HTMLCanvasElement} canvas
 */
export function show(image, canvas) {
  const pixels = new ImageData(SIDE, SIDE);
  image.forEach((value, i) => {
    pixels.data.fill(255 * (1 - value), 4 * i, 4 * i + 3);
    pixels.data[4 * i + 3] = 255;
  });
  brush(canvas).putImageData(pixels, 0, 0);
}

/**
 * Return the image turned counterclockwise about its centre, between its pixels bilinear.
 *
 * @param {Float32Array} image
 * @param {number} degrees
 */
export function rotate(image, degrees) {
  const angle = (degrees * Math.PI) / 180;
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
  /**
   * @param {number} row
   * @param {number} column
   */
  const pixel = (row, column) =>
    row >= 0 && row < SIDE && column >= 0 && column < SIDE ? image[row * SIDE + column] : 0;
  return image.map((_, at) => {
    const x = (at % SIDE) - (SIDE - 1) / 2;
    const y = Math.floor(at / SIDE) - (SIDE - 1) / 2;
    const fromX = cosine * x - sine * y + (SIDE - 1) / 2;
    const fromY = sine * x + cosine * y + (SIDE - 1) / 2;
    const [column, row] = [Math.floor(fromX), Math.floor(fromY)];
    const [right, down] = [fromX - column, fromY - row];
    return (
      (1 - down) * ((1 - right) * pixel(row, column) + right * pixel(row, column + 1)) +
      down * ((1 - right) * pixel(row + 1, column) + right * pixel(row + 1, column + 1))
    );
  });
}
