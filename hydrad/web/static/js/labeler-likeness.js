// Which images look alike: so much that what is true of one is true of the other.

const COLUMNS = 24;
const ROWS = 16;
const ALIKE = 2.5; // grey levels of 255 by which the averages of two alike images differ at most, in any cell

const canvas = document.createElement("canvas");
const paper = canvas.getContext("2d", { willReadFrequently: true });

/**
 * The average grey level of each cell of a picture that is loaded, row by row; null for one that cannot be read.
 *
 * A mean over all of it would not do: one dead board changes few pixels, but those a lot.
 */
export function signature(picture) {
  const width = picture.naturalWidth;
  const height = picture.naturalHeight;
  if (width < COLUMNS || height < ROWS) return null;
  canvas.width = width;
  canvas.height = height;
  paper.drawImage(picture, 0, 0);
  return averages(paper.getImageData(0, 0, width, height).data, width, height);
}

export function averages(pixels, width, height) {
  const sums = new Float64Array(COLUMNS * ROWS);
  const counts = new Uint32Array(COLUMNS * ROWS);
  for (let y = 0, at = 0; y < height; y++) {
    const row = Math.floor((y * ROWS) / height) * COLUMNS;
    for (let x = 0; x < width; x++, at += 4) {
      const cell = row + Math.floor((x * COLUMNS) / width);
      sums[cell] += pixels[at] + pixels[at + 1] + pixels[at + 2];
      counts[cell] += 3;
    }
  }
  return sums.map((sum, cell) => sum / counts[cell]);
}

/** True for two signatures of images that look alike; an image without one is like no other. */
export function alike(one, other) {
  return one !== null && other !== null && one.every((level, cell) => Math.abs(level - other[cell]) <= ALIKE);
}
