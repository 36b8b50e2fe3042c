// Label maps as pixels: ids from bytes, colours for ids, lines where two meet.

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
  if (!two && buffer.byteLength !== pixels) throw new Error("A segmentation does not match its image.");
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
    photo.onerror = () => reject(new Error("An image could not be loaded from the studio."));
    photo.src = url;
  });
}

export async function loadIds(url, pixels) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error("A segmentation could not be loaded from the studio.");
  return readIds(await answer.arrayBuffer(), pixels);
}
