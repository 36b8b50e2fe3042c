// Kept anchors on the mosaic: the border of each one's positives in its colour, and its number.
import { POSITIVE } from "../shared/codec.js";
import { COLOURS, codesAt, css, inkOn } from "./kept.js";
import { PALETTE } from "./overlay.js";

const BADGE = 7.5;
// Borders lie inside one another, so that none hides where sets share an edge.
const STEP = 2;

/** Borders of the positives of the kept anchors whose sets are there. */
export function drawKeptSets(context, tiles, state, thin) {
  const shown = state.kept.filter((one) => one?.codes);
  const patch = Math.min(...tiles.places.map((place) => place.patch));
  const apart = Math.min(thin(STEP), (0.42 * patch) / Math.max(1, shown.length));
  shown.forEach((one, i) => {
    const path = border(one, tiles, state.step, (i + 0.5) * apart);
    for (const [width, style] of [[3.5, "rgba(255,255,255,0.9)"], [2, css(COLOURS[one.slot])]]) {
      context.lineWidth = thin(width);
      context.strokeStyle = style;
      context.stroke(path);
    }
  });
}

/** The numbers, over everything else. */
export function drawKeptNumbers(context, tiles, state, thin) {
  const r = thin(BADGE);
  context.font = `bold ${thin(10.5)}px sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const one of state.kept) {
    if (!one) continue;
    const half = tiles.side(one.patch) / 2;
    const [x, y] = tiles.corner(one.patch).map((value) => value + half);
    context.beginPath();
    context.arc(x, y, r, 0, 2 * Math.PI);
    context.fillStyle = css(COLOURS[one.slot]);
    context.fill();
    // The number hides the anchor's frame.
    const pink = one.patch === state.anchor;
    context.lineWidth = thin(pink ? 2.5 : 1.5);
    context.strokeStyle = pink ? css(PALETTE.anchor) : "#fff";
    context.stroke();
    context.fillStyle = inkOn(COLOURS[one.slot]);
    context.fillText(String(one.slot + 1), x, y + thin(0.5));
  }
}

/** One anchor's border, kept as a path until the step, the sets or the size change. */
function border(one, tiles, step, inset) {
  const codes = codesAt(one, step);
  const known = one.border;
  if (known?.tiles === tiles && known.codes === codes && known.inset === inset) return known.path;
  const path = inside(tiles, codes, inset);
  one.border = { tiles, codes, inset, path };
  return path;
}

/** Borders of P moved inwards, with corners closed. */
function inside({ batch, places }, codes, inset) {
  const path = new Path2D();
  places.forEach(({ x, y, patch }, image) => {
    const [rows, columns] = batch.grids[image];
    const first = batch.starts[image];
    const at = (row, column) => row >= 0 && row < rows && column >= 0 && column < columns && codes[first + row * columns + column] >= POSITIVE;
    // An edge ends short of a corner that turns inwards, at a straight one, or beyond one outwards.
    const end = (open, diagonal) => (open ? inset : diagonal ? -inset : 0);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        if (!at(row, column)) continue;
        const [left, top] = [x + column * patch, y + row * patch];
        const [right, low] = [left + patch, top + patch];
        for (const by of [-1, 1]) {
          if (!at(row + by, column)) {
            const edge = by < 0 ? top + inset : low - inset;
            line(path, left + end(!at(row, column - 1), at(row + by, column - 1)), edge, right - end(!at(row, column + 1), at(row + by, column + 1)), edge);
          }
          if (!at(row, column + by)) {
            const edge = by < 0 ? left + inset : right - inset;
            line(path, edge, top + end(!at(row - 1, column), at(row - 1, column + by)), edge, low - end(!at(row + 1, column), at(row + 1, column + by)));
          }
        }
      }
    }
  });
  return path;
}

function line(path, x1, y1, x2, y2) {
  path.moveTo(x1, y1);
  path.lineTo(x2, y2);
}
