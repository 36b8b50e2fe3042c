// One picture under its segments, on a canvas. Names, colours and opacity never ask the server.
import { h } from "./dom.js";

const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** [r, g, b] and an opacity of 0 to 255 as a pixel of ImageData seen as 32 bits. */
export const pixel = ([r, g, b], alpha) =>
  (LITTLE_ENDIAN ? (alpha << 24) | (b << 16) | (g << 8) | r : (r << 24) | (g << 16) | (b << 8) | alpha) >>> 0;

/** The id of pixels of no class. */
export const NONE = 0xffff;

/** Room for a pixel of every id that there can be; what is not set is transparent. */
export const emptyTable = () => new Uint32Array(NONE + 1);

/** The bytes of a label map, one or two a pixel, as ids; the largest number is NONE. */
export function readIds(buffer, pixels) {
  const two = buffer.byteLength === 2 * pixels;
  if (!two && buffer.byteLength !== pixels) throw new Error("A segmentation does not fit its picture.");
  const view = new DataView(buffer);
  const ids = new Uint16Array(pixels);
  for (let i = 0; i < pixels; i++) {
    const id = two ? view.getUint16(2 * i, true) : view.getUint8(i);
    ids[i] = !two && id === 0xff ? NONE : id;
  }
  return ids;
}

/** A pixel for every id; while one is looked at, the others step back. */
export function colourTable(colours, focus = null) {
  const table = emptyTable();
  colours.forEach((colour, id) => {
    table[id] = pixel(colour, focus === null || focus === id ? 255 : 40);
  });
  return table;
}

/** Paint ids into a canvas of their size. */
export function paint(canvas, ids, width, height, table) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const out = new Uint32Array(image.data.buffer);
  for (let i = 0; i < ids.length; i++) out[i] = table[ids[i]];
  context.putImageData(image, 0, 0);
}

/** Lines where two ids meet, light on dark so that they show on anything. */
export function paintEdges(canvas, ids, width, height) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const out = new Uint32Array(image.data.buffer);
  const [light, dark] = [pixel([255, 255, 255], 255), pixel([0, 0, 0], 130)];
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const right = x + 1 < width && ids[i] !== ids[i + 1];
      const below = y + 1 < height && ids[i] !== ids[i + width];
      if (!right && !below) continue;
      out[i] = light;
      if (right) out[i + 1] = out[i + 1] || dark;
      if (below) out[i + width] = out[i + width] || dark;
    }
  }
  context.putImageData(image, 0, 0);
}

export function loadPhoto(url) {
  return new Promise((resolve, reject) => {
    const photo = new Image();
    photo.onload = () => resolve(photo);
    photo.onerror = () => reject(new Error("A picture could not be loaded from the studio."));
    photo.src = url;
  });
}

export async function loadIds(url, pixels) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error("A segmentation could not be loaded from the studio.");
  return readIds(await answer.arrayBuffer(), pixels);
}

export class SegmentView {
  /** hooks: {hover(id or null, event), pick(id, event)}. */
  constructor(picture, hooks) {
    [this.width, this.height] = picture.shown;
    this.name = picture.name;
    this.tint = document.createElement("canvas");
    this.lines = document.createElement("canvas");
    this.canvas = h("canvas", { width: this.width, height: this.height, role: "img", "aria-label": `${picture.name}, segmented` });
    // No taller than the window, in its own proportions: pointers are read by the canvas's box.
    this.canvas.style.maxWidth = `calc(74vh * ${this.width / this.height})`;
    this.element = h(
      "figure",
      { class: "segmented", dataset: { ready: "false" } },
      this.canvas,
      h("figcaption", {}, picture.name, h("span", {}, ` ${picture.width} × ${picture.height}`)),
    );
    this.canvas.addEventListener("pointermove", (event) => hooks.hover(this.idAt(event), event));
    this.canvas.addEventListener("pointerleave", (event) => hooks.hover(null, event));
    this.canvas.addEventListener("click", (event) => {
      const id = this.idAt(event);
      if (id !== null) hooks.pick(id, event);
    });
  }

  async load(picture, url) {
    [this.photo, this.ids] = await Promise.all([this.photo ?? loadPhoto(picture.photo), loadIds(url, this.width * this.height)]);
    paintEdges(this.lines, this.ids, this.width, this.height);
    this.element.dataset.ready = "true";
  }

  /** The id under the pointer, or null. */
  idAt(event) {
    if (!this.ids) return null;
    const box = this.canvas.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * this.width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * this.height);
    return x >= 0 && y >= 0 && x < this.width && y < this.height ? this.ids[y * this.width + x] : null;
  }

  /** A point of the canvas, in CSS pixels, that shows an id; for tests and scripts. */
  pointOf(id) {
    const places = [];
    for (let i = 0; i < this.ids.length; i++) if (this.ids[i] === id) places.push(i);
    if (!places.length) return null;
    const place = places[places.length >> 1];
    const box = this.canvas.getBoundingClientRect();
    const share = box.width / this.width;
    return [((place % this.width) + 0.5) * share, (Math.floor(place / this.width) + 0.5) * share];
  }

  colour(table) {
    if (this.ids) paint(this.tint, this.ids, this.width, this.height, table);
  }

  draw({ opacity, outline }) {
    if (!this.ids) return;
    const context = this.canvas.getContext("2d");
    context.globalAlpha = 1;
    context.drawImage(this.photo, 0, 0, this.width, this.height);
    context.globalAlpha = opacity;
    context.drawImage(this.tint, 0, 0);
    context.globalAlpha = 1;
    if (outline) context.drawImage(this.lines, 0, 0);
  }
}
