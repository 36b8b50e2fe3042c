// How sets look on the photographs. The same look is drawn for export by ppap/studio/explore/pictures.py
// and looks/.
import { AMBIGUOUS, ANCHOR, NEGATIVE, POSITIVE } from "../shared/codec.js";

export const PALETTE = {
  positive: [61, 123, 255],
  ambiguous: [255, 176, 0],
  negative: [8, 12, 24],
  anchor: [220, 38, 127],
};
export const FILL = { positive: 0.8, ambiguous: 0.72, negative: 0.9 };

/** Which set a code belongs to; the anchor belongs to none. */
export const SET_OF = { [NEGATIVE]: "negative", [AMBIGUOUS]: "ambiguous", [POSITIVE]: "positive", [ANCHOR]: null };

/**
 * Borders of a set as one path in patch units (image origin at `at(image)`).
 * member(j) tells whether patch j belongs to it.
 */
export function outline(batch, member, at, patch) {
  const path = new Path2D();
  const { rows, columns, names } = batch;
  for (let image = 0; image < names.length; image++) {
    const [x0, y0] = at(image);
    const first = image * rows * columns;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const j = first + row * columns + column;
        if (!member(j)) continue;
        const x = x0 + column * patch;
        const y = y0 + row * patch;
        if (row === 0 || !member(j - columns)) line(path, x, y, x + patch, y);
        if (row === rows - 1 || !member(j + columns)) line(path, x, y + patch, x + patch, y + patch);
        if (column === 0 || !member(j - 1)) line(path, x, y, x, y + patch);
        if (column === columns - 1 || !member(j + 1)) line(path, x + patch, y, x + patch, y + patch);
      }
    }
  }
  return path;
}

/** Diagonals over the ambiguous patches, so that they differ by more than colour. */
export function hatch(batch, codes, at, patch) {
  const path = new Path2D();
  const { rows, columns, names } = batch;
  for (let image = 0, j = 0; image < names.length; image++) {
    const [x0, y0] = at(image);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++, j++) {
        if (codes[j] !== AMBIGUOUS) continue;
        const x = x0 + column * patch;
        const y = y0 + row * patch;
        line(path, x, y + patch, x + patch, y);
      }
    }
  }
  return path;
}

/** One square per patch: the look of the paper's Fig. 5. */
export function boxes(batch, codes, code, at, patch) {
  const path = new Path2D();
  const { rows, columns, names } = batch;
  for (let image = 0, j = 0; image < names.length; image++) {
    const [x0, y0] = at(image);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++, j++) {
        if (codes[j] === code) path.rect(x0 + column * patch, y0 + row * patch, patch, patch);
      }
    }
  }
  return path;
}

function line(path, x1, y1, x2, y2) {
  path.moveTo(x1, y1);
  path.lineTo(x2, y2);
}
