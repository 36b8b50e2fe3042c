// Small pictures of patches, cut from the sheet of the batch's images.
import { h } from "../shared/dom.js";
import { whereIs } from "./tiles.js";

// Patches beside the one that is meant, each way.
const AROUND = 3;

/** A patch in its surroundings, with a frame around it. */
export function thumb(batch, picture, patch, size = 44) {
  const canvas = h("canvas", { class: "thumb", width: size * 2, height: size * 2, "aria-hidden": "true" });
  canvas.style.width = canvas.style.height = `${size}px`;
  const [image, row, column] = whereIs(batch, patch);
  const [rows, columns] = batch.grids[image];
  const side = batch.atlas_patch;
  const across = 2 * AROUND + 1;
  const from = (at, count) => Math.max(0, Math.min(count - across, at - AROUND));
  const [top, left] = [from(row, rows), from(column, columns)];
  const [high, wide] = [Math.min(across, rows), Math.min(across, columns)];
  const context = canvas.getContext("2d");
  const scale = canvas.width / across;
  const [x, y] = batch.atlas[image];
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, x + left * side, y + top * side, wide * side, high * side, 0, 0, wide * scale, high * scale);
  const square = [(column - left) * scale, (row - top) * scale, scale, scale];
  for (const [width, style] of [[7, "#fff"], [4, "#dc267f"]]) {
    context.lineWidth = width;
    context.strokeStyle = style;
    context.strokeRect(...square);
  }
  return canvas;
}
