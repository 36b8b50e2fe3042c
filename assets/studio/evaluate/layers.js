// Label maps as colours to lay over a photo: classes, what is wrong, who is right.
import { bytes } from "../shared/codec.js";
import { NONE, emptyTable, paint, pixel, readIds } from "../shared/label-view.js";
import { OUTSIDE } from "./singled.js";

// Colours of the layers that are not of classes: [r, g, b], opacity.
export const MARKS = {
  right: [[12, 16, 26], 190],
  wrong: [[214, 30, 60], 255],
  better: [[40, 190, 120], 255],
  worse: [[255, 140, 0], 255],
  both: [[120, 126, 140], 220],
  aside: [[12, 16, 26], 150],
};
const UNMATCHED = [22, 22, 26];
const LEVELS = ["", "right", "wrong", "better", "worse", "both", "aside"];
const level = (name) => LEVELS.indexOf(name);

async function inflate(base64) {
  const stream = new Blob([bytes(base64)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

/** A reply's label maps, all of the picture's size: OUTSIDE where a prediction says nothing. */
export async function readMaps({ width, height, square, maps }) {
  const found = {};
  for (const [name, packed] of Object.entries(maps)) {
    const { size, left, top } = square;
    if (name === "truth") {
      found[name] = readIds(await inflate(packed), width * height);
      continue;
    }
    const inside = readIds(await inflate(packed), size * size);
    if (size === width && size === height) {
      found[name] = inside;
      continue;
    }
    const around = new Uint16Array(width * height).fill(OUTSIDE);
    for (let y = 0; y < size; y++) around.set(inside.subarray(y * size, (y + 1) * size), (top + y) * width + left);
    found[name] = around;
  }
  return found;
}

/** One map to the left of a column, another from there on. */
export function wiped(left, right, width, edge) {
  if (edge <= 0) return right;
  if (edge >= width) return left;
  const found = right.slice();
  for (let at = 0; at < found.length; at += width) found.set(left.subarray(at, at + edge), at);
  return found;
}

const canvasOf = (ids, { width, height }, table) => {
  const canvas = document.createElement("canvas");
  paint(canvas, ids, width, height, table);
  return canvas;
};

/** Ids where `keep` says so; elsewhere LEFT_OUT, which is dark, or OUTSIDE, which is nothing. */
const LEFT_OUT = 0xfffd;
const kept = (ids, keep, predicted) => (keep ? ids.map((id, i) => (predicted[i] === OUTSIDE ? OUTSIDE : keep[i] ? id : LEFT_OUT)) : ids);

/** Which pixels are singled out: 1 or 0 each. */
export function chosen(truth, predicted, belongs) {
  const found = new Uint8Array(truth.length);
  for (let i = 0; i < found.length; i++) found[i] = belongs(truth[i], predicted[i]) ? 1 : 0;
  return found;
}

/** A map in the colours of its classes; keep: which of its pixels alone, or null. */
export function classLayer(ids, one, colours, { predicted = ids, keep = null } = {}) {
  const table = emptyTable();
  colours.forEach((colour, id) => (table[id] = pixel(colour, 255)));
  if (predicted === ids) table[NONE] = pixel(UNMATCHED, 255);
  table[OUTSIDE] = 0;
  if (keep) table[LEFT_OUT] = pixel(...MARKS.aside);
  return canvasOf(kept(ids, keep, predicted), one, table);
}

function markLayer(one, mark) {
  const table = emptyTable();
  LEVELS.forEach((name, i) => name && (table[i] = pixel(...MARKS[name])));
  return canvasOf(Uint16Array.from(one.maps.truth, (truth, i) => (truth === NONE ? 0 : level(mark(truth, i)))), one, table);
}

/** Where a prediction is wrong; of pixels that are singled out, right ones are told from the rest. */
export function wrongLayer(one, predicted, keep) {
  return markLayer(one, (truth, i) => {
    const p = predicted[i];
    if (p === OUTSIDE) return "";
    if (keep && !keep[i]) return "aside";
    return p !== truth ? "wrong" : keep ? "better" : "right";
  });
}

/** Where one is right and another wrong: better than the other, worse, or both wrong. */
export function versusLayer(one, predicted, other, others, keep) {
  const across = other.width / one.width;
  const down = other.height / one.height;
  return markLayer(one, (truth, i) => {
    const p = predicted[i];
    // Reports may have been scored at different sizes.
    const x = Math.floor(((i % one.width) + 0.5) * across);
    const y = Math.floor((Math.floor(i / one.width) + 0.5) * down);
    const q = others[y * other.width + x];
    if (p === OUTSIDE || q === OUTSIDE) return "";
    if (keep && !keep[i]) return "aside";
    if (p === truth) return q === truth ? "right" : "better";
    return q === truth ? "worse" : "both";
  });
}
