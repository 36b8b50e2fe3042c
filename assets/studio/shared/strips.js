// Pictures that lie side by side in one file: loaded once, each drawn over the first, the photo.
import { loadPhoto } from "./label-view.js";

const KEPT = 64; // strips that stay decoded: 1.6 MB each at 320 pixels

export class Strips {
  constructor() {
    this.known = new Map(); // by address, the newest last
  }

  /** The strip at an address, as an image. */
  load(url) {
    const found = this.known.get(url) ?? loadPhoto(url);
    this.known.delete(url);
    this.known.set(url, found);
    // What could not be loaded may be there the next time.
    found.catch(() => this.known.delete(url));
    while (this.known.size > KEPT) this.known.delete(this.known.keys().next().value);
    return found;
  }
}

const scratch = document.createElement("canvas");

/**
 * Draw one of a strip's pictures into a canvas.
 *
 * part: which, 0 for the photo itself; parts: how many there are; opacity: over the photo, 0 to 1;
 * only: the colours [r, g, b] that are shown, or null for all.
 */
export function drawPart(canvas, strip, { part, parts, opacity = 1, only = null }) {
  const [width, height] = [strip.naturalWidth / parts, strip.naturalHeight];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.globalAlpha = 1;
  context.drawImage(strip, 0, 0, width, height, 0, 0, width, height);
  if (part === 0) return;
  context.globalAlpha = opacity;
  if (only) context.drawImage(masked(strip, part * width, width, height, only), 0, 0);
  else context.drawImage(strip, part * width, 0, width, height, 0, 0, width, height);
}

/** A part of a strip, transparent wherever its colour is none of those. */
function masked(strip, left, width, height, colours) {
  Object.assign(scratch, { width, height }); // cleared by that
  const context = scratch.getContext("2d", { willReadFrequently: true });
  context.drawImage(strip, left, 0, width, height, 0, 0, width, height);
  const image = context.getImageData(0, 0, width, height);
  const { data } = image;
  const shown = new Set(colours.map(([r, g, b]) => (r << 16) | (g << 8) | b));
  for (let i = 0; i < data.length; i += 4) {
    if (!shown.has((data[i] << 16) | (data[i + 1] << 8) | data[i + 2])) data[i + 3] = 0;
  }
  context.putImageData(image, 0, 0);
  return scratch;
}
