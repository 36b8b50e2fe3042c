// Where every image and patch of a batch lies: among all patches, and on a canvas before zooming.
// Nothing else counts with rows and columns. The Python side is Batch in ppap/batches.py.

export const GAP = 6;
// How high the strip is at most, beside an image that fills the room.
const STRIP = 84;

/** How many patches a batch has. */
export const patchCount = ({ starts }) => starts[starts.length - 1];

/** The image that a patch is of. */
export function imageOf({ starts }, patch) {
  let low = 0;
  let high = starts.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= patch) low = middle;
    else high = middle;
  }
  return low;
}

/** Image, row and column of a patch. */
export function whereIs(batch, patch) {
  const image = imageOf(batch, patch);
  const inImage = patch - batch.starts[image];
  const columns = batch.grids[image][1];
  return [image, Math.floor(inImage / columns), inImage % columns];
}

/** The patch at an image, row and column; null outside the batch. */
export function patchAt({ grids, starts }, [image, row, column]) {
  const [rows, columns] = grids[image] ?? [0, 0];
  return row >= 0 && row < rows && column >= 0 && column < columns ? starts[image] + row * columns + column : null;
}

/** Whether all images have as many rows and columns. */
const alike = (grids) => grids.every(([rows, columns]) => rows === grids[0][0] && columns === grids[0][1]);

const arranged = (grids, width, maxHeight) => (alike(grids) ? inGrid : inLines)(grids, width, maxHeight);

export class Tiles {
  /** All images as large as they can be within width and height: equal ones in a grid, others in
   *  lines that they fill. One image may fill the room instead, with the others in a strip. */
  constructor(batch, width, maxHeight, filling = null) {
    this.batch = batch;
    this.width = width;
    this.filling = filling;
    const { places, lines, height } = arranged(batch.grids, width, maxHeight);
    const filled = filling === null ? null : withStrip(batch.grids, width, maxHeight, filling);
    this.places = filled?.places ?? places; // {x, y, width, height, patch} of each image, patch being the side of one
    this.lines = lines; // how many images stand in each line where none fills the room
    this.height = Math.ceil(filled?.height ?? height);
  }

  /** Top-left corner of an image. */
  origin = (image) => [this.places[image].x, this.places[image].y];

  /** Side of a patch. */
  side = (patch) => this.places[imageOf(this.batch, patch)].patch;

  /** Top-left corner of a patch. */
  corner(patch) {
    const [image, row, column] = whereIs(this.batch, patch);
    const place = this.places[image];
    return [place.x + column * place.patch, place.y + row * place.patch];
  }

  /** The image at a point, or null. */
  imageAt(x, y) {
    const image = this.places.findIndex((place) => x >= place.x && x < place.x + place.width && y >= place.y && y < place.y + place.height);
    return image < 0 ? null : image;
  }

  /** The patch at a point, or null. */
  at(x, y) {
    const image = this.imageAt(x, y);
    if (image === null) return null;
    const place = this.places[image];
    return patchAt(this.batch, [image, Math.floor((y - place.y) / place.patch), Math.floor((x - place.x) / place.patch)]);
  }

  /** The patch one step away, crossing into the image beside this one. */
  neighbour(patch, dx, dy) {
    const [image, row, column] = whereIs(this.batch, patch);
    const found = patchAt(this.batch, [image, row + dy, column + dx]);
    if (found !== null) return found;
    if (this.filling !== null) return patch;
    const [x, y] = this.corner(patch).map((value) => value + this.side(patch) / 2);
    const other = this.beside(image, dx, dy, x, y);
    if (other === null) return patch;
    const place = this.places[other];
    const [rows, columns] = this.batch.grids[other];
    const nearest = (at, count) => Math.max(0, Math.min(count - 1, Math.floor(at / place.patch)));
    const into = (step, at, count) => (step > 0 ? 0 : step < 0 ? count - 1 : nearest(at, count));
    return patchAt(this.batch, [other, into(dy, y - place.y, rows), into(dx, x - place.x, columns)]);
  }

  /** The image that is next in a direction and nearest to a point; null where there is none. */
  beside(image, dx, dy, x, y) {
    const own = this.places[image];
    const off = (at, start, length) => Math.max(start - at, at - start - length, 0);
    let found = null;
    let least = Infinity;
    this.places.forEach((place, other) => {
      const ahead = dx ? dx * (place.x - own.x) : dy * (place.y - own.y);
      const aside = dx ? off(y, place.y, place.height) : off(x, place.x, place.width);
      if (ahead <= 0 || (dx && aside > 0)) return;
      // The line above or below first, in it the image under the point.
      const distance = ahead * this.width + aside;
      if (distance < least) [found, least] = [other, distance];
    });
    return found;
  }
}

/** As many images in a line as make them largest. */
function inGrid(grids, width, maxHeight) {
  const [rows, columns] = grids[0];
  const n = grids.length;
  let best = { patch: 0 };
  for (let across = 1; across <= n; across++) {
    const down = Math.ceil(n / across);
    const patch = Math.min((width - GAP * (across - 1)) / across / columns, (maxHeight - GAP * (down - 1)) / down / rows);
    if (patch > best.patch + 0.01 / columns) best = { patch, across, down };
  }
  const patch = Math.max(best.patch, 8 / rows);
  const across = best.across ?? 1;
  const down = Math.ceil(n / across);
  const size = { width: patch * columns, height: patch * rows, patch };
  const left = Math.max(0, (width - across * size.width - GAP * (across - 1)) / 2);
  const places = grids.map((_, i) => ({
    x: left + (i % across) * (size.width + GAP),
    y: Math.floor(i / across) * (size.height + GAP),
    ...size,
  }));
  const lines = Array.from({ length: down }, (_, i) => Math.min(across, n - i * across));
  return { places, lines, height: down * size.height + GAP * (down - 1) };
}

/** Lines that fill the width, broken where the images, small ones above all, become largest. */
function inLines(grids, width, maxHeight) {
  const aspects = grids.map(([rows, columns]) => columns / rows);
  let best = null;
  for (let count = 1; count <= grids.length; count++) {
    const lines = broken(aspects, count);
    // Lines that are mostly gaps are no choice, unless nothing else is left.
    if (count < grids.length && GAP * (Math.max(...lines) - 1) > width / 2) continue;
    const { heights } = filled(aspects, lines, width, maxHeight);
    // The geometric mean of the areas: no image is made tiny for the sake of the others.
    const merit = heights.reduce((sum, height, i) => sum + lines[i] * 2 * Math.log(height), 0);
    if (!best || merit > best.merit + 1e-9) best = { lines, merit };
  }
  const { heights, height } = filled(aspects, best.lines, width, maxHeight);
  let image = 0;
  let y = 0;
  const places = [];
  const widest = Math.max(...totals(aspects, best.lines).map((total, i) => total * heights[i] + GAP * (best.lines[i] - 1)));
  best.lines.forEach((length, line) => {
    let x = Math.max(0, (width - widest) / 2);
    for (let i = 0; i < length; i++, image++) {
      const size = { width: aspects[image] * heights[line], height: heights[line], patch: heights[line] / grids[image][0] };
      places.push({ x, y, ...size });
      x += size.width + GAP;
    }
    y += heights[line] + GAP;
  });
  return { places, lines: best.lines, height };
}

/** One image as large as it can be, the others below or beside it, wherever that leaves it more. */
function withStrip(grids, width, maxHeight, filling) {
  const [rows, columns] = grids[filling];
  const others = grids.filter((_, i) => i !== filling);
  const strip = others.length ? Math.min(STRIP, Math.min(width, maxHeight) / 4) : 0;
  const gap = strip ? GAP : 0;
  const side = (w, h) => Math.min(w / columns, h / rows);
  const below = side(width, maxHeight - strip - gap) >= side(width - strip - gap, maxHeight);
  const patch = below ? side(width, maxHeight - strip - gap) : side(width - strip - gap, maxHeight);
  const main = { width: patch * columns, height: patch * rows, patch };
  const rest = !strip ? { places: [], height: 0 } : below ? arranged(others, width, strip) : arranged(others, strip, maxHeight);
  const left = below ? (width - main.width) / 2 : (width - main.width - gap - strip) / 2;
  const [dx, dy] = below ? [0, main.height + gap] : [left + main.width + gap, 0];
  const places = rest.places.map((place) => ({ ...place, x: place.x + dx, y: place.y + dy }));
  places.splice(filling, 0, { x: left, y: 0, ...main });
  return { places, height: below ? dy + rest.height : Math.max(main.height, rest.height) };
}

/** Sum of the aspects in each line. */
function totals(aspects, lines) {
  let from = 0;
  return lines.map((length) => aspects.slice(from, (from += length)).reduce((a, b) => a + b, 0));
}

/** How high lines are that fill the width, all together no higher than allowed. */
function filled(aspects, lines, width, maxHeight) {
  const gaps = GAP * (lines.length - 1);
  const own = totals(aspects, lines).map((total, i) => Math.min(maxHeight, (width - GAP * (lines[i] - 1)) / total));
  const sum = own.reduce((a, b) => a + b, 0);
  // However many lines there are, each is a few pixels high.
  const shrunk = Math.min(1, Math.max(4 * lines.length, maxHeight - gaps) / sum);
  const heights = own.map((height) => height * shrunk);
  return { heights, height: heights.reduce((a, b) => a + b, 0) + gaps };
}

/** Break a list into so many lines, in order, the longest of them as short as it can be. */
function broken(aspects, count) {
  const n = aspects.length;
  const sums = [0];
  for (const aspect of aspects) sums.push(sums[sums.length - 1] + aspect);
  // least[k][i]: the longest of k lines with the first i images; from[k][i]: where the last begins.
  const least = [[0, ...Array(n).fill(Infinity)]];
  const from = [[]];
  for (let k = 1; k <= count; k++) {
    least.push(Array(n + 1).fill(Infinity));
    from.push(Array(n + 1).fill(0));
    for (let i = k; i <= n; i++) {
      for (let j = k - 1; j < i; j++) {
        const longest = Math.max(least[k - 1][j], sums[i] - sums[j]);
        if (longest < least[k][i]) [least[k][i], from[k][i]] = [longest, j];
      }
    }
  }
  const lines = [];
  for (let k = count, end = n; k > 0; end = from[k][end], k--) lines.unshift(end - from[k][end]);
  return lines;
}
