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

const sameImages = (a, b) => a.names.length === b.names.length && a.names.every((name, i) => name === b.names[i]);

/** Whether two batches have as many images: all that can be said of features of one's own. */
export const sameNumber = (a, b) => a.grids.length === b.grids.length;

// What of a batch's recipe says which images it has.
const IMAGES = ["source", "folder", "split", "count", "seed", "images", "files", "size", "picture", "npz", "memory"];

const imagesOf = ({ recipe }, names = IMAGES) => JSON.stringify(names.map((name) => recipe[name]));
const NOT_SIZE = IMAGES.filter((name) => name !== "size");

/** Whether two batches were made of the same images. */
export const ofSameImages = (a, b) => sameImages(a, b) && imagesOf(a) === imagesOf(b);

/** The patch of another batch that holds the middle of the anchor, if its images are the same, at
 *  whichever resolution; or null. */
export function samePlace({ batch, anchor }, next) {
  if (!batch || !sameImages(batch, next) || imagesOf(batch, NOT_SIZE) !== imagesOf(next, NOT_SIZE)) return null;
  const [image, row, column] = whereIs(batch, anchor);
  const [rows, columns] = batch.grids[image];
  const [high, wide] = next.grids[image];
  return patchAt(next, [image, Math.floor(((2 * row + 1) * high) / (2 * rows)), Math.floor(((2 * column + 1) * wide) / (2 * columns))]);
}

/** A set of patches of one grid as patches of the other: those whose middle lies in one of them. */
export function pulled(patches, partners) {
  const out = new Set();
  if (!patches.size) return out;
  partners.forEach((partner, patch) => {
    if (patches.has(partner)) out.add(patch);
  });
  return out;
}
