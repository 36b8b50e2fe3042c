// Two grids of patches on the same images: which patch of one holds the middle of which of the other.
// The Python side is ppap/studio/explore/beside.py.
import { patchAt, patchCount, whereIs } from "./tiles.js";

/** For each patch of `here` the patch of `there` that holds its middle. */
export function holding(here, there) {
  const out = new Int32Array(patchCount(here));
  for (let patch = 0; patch < out.length; patch++) {
    const [image, row, column] = whereIs(here, patch);
    const [rows, columns] = here.grids[image];
    const [high, wide] = there.grids[image];
    out[patch] = patchAt(there, [image, Math.floor(((2 * row + 1) * high) / (2 * rows)), Math.floor(((2 * column + 1) * wide) / (2 * columns))]);
  }
  return out;
}

/** Whether two batches can show the same images; the server looks closer. */
export const sameImages = (a, b) => a.names.length === b.names.length && a.names.every((name, i) => name === b.names[i]);

/** A set of patches of one grid as patches of the other: those whose middle lies in one of them. */
export function pulled(patches, partners) {
  const out = new Set();
  if (!patches.size) return out;
  partners.forEach((partner, patch) => {
    if (patches.has(partner)) out.add(patch);
  });
  return out;
}
