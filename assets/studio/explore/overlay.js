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

/** Colours of all patches, RGBA bytes, as a picture of a pixel a patch: laid out as the photographs. */
export function tintSheet({ grids, starts, atlas, atlas_patch: side }, colours) {
  const corners = atlas.map((corner) => corner.map((at) => at / side));
  const width = Math.max(...corners.map(([x], i) => x + grids[i][1]));
  const height = Math.max(...corners.map(([, y], i) => y + grids[i][0]));
  const sheet = new ImageData(width, height);
  corners.forEach(([x, y], image) => {
    const [rows, columns] = grids[image];
    for (let row = 0; row < rows; row++) {
      const from = 4 * (starts[image] + row * columns);
      sheet.data.set(colours.subarray(from, from + 4 * columns), 4 * ((y + row) * width + x));
    }
  });
  return sheet;
}

/** Call visit(j, x, y, patch, row, column, rows, columns) for every patch: its corner and side. */
function each({ batch, places }, visit) {
  batch.grids.forEach(([rows, columns], image) => {
    const { x, y, patch } = places[image];
    let j = batch.starts[image];
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++, j++) visit(j, x + column * patch, y + row * patch, patch, row, column, rows, columns);
    }
  });
}

/** Borders of a set as one path; member(j) tells whether patch j belongs to it. */
export function outline(tiles, member) {
  const path = new Path2D();
  each(tiles, (j, x, y, patch, row, column, rows, columns) => {
    if (!member(j)) return;
    if (row === 0 || !member(j - columns)) line(path, x, y, x + patch, y);
    if (row === rows - 1 || !member(j + columns)) line(path, x, y + patch, x + patch, y + patch);
    if (column === 0 || !member(j - 1)) line(path, x, y, x, y + patch);
    if (column === columns - 1 || !member(j + 1)) line(path, x + patch, y, x + patch, y + patch);
  });
  return path;
}

/** Diagonals over the ambiguous patches, so that they differ by more than colour; none over patches
 *  too small to show them. */
export function hatch(tiles, codes, least) {
  const path = new Path2D();
  each(tiles, (j, x, y, patch) => {
    if (codes[j] === AMBIGUOUS && patch >= least) line(path, x, y + patch, x + patch, y);
  });
  return path;
}

/** One square per patch: the look of the paper's Fig. 5. */
export function boxes(tiles, codes, code) {
  const path = new Path2D();
  each(tiles, (j, x, y, patch) => {
    if (codes[j] === code) path.rect(x, y, patch, patch);
  });
  return path;
}

/** The borders of all patches. */
export function lattice({ batch, places }) {
  const path = new Path2D();
  batch.grids.forEach(([rows, columns], image) => {
    const { x, y, width, height, patch } = places[image];
    for (let k = 0; k <= rows; k++) line(path, x, y + k * patch, x + width, y + k * patch);
    for (let k = 0; k <= columns; k++) line(path, x + k * patch, y, x + k * patch, y + height);
  });
  return path;
}

function line(path, x1, y1, x2, y2) {
  path.moveTo(x1, y1);
  path.lineTo(x2, y2);
}
