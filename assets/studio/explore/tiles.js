// Where every image and patch of a batch lies on a canvas, before zooming.

const GAP = 6;

/** Image, row and column of a patch. */
export function whereIs({ rows, columns }, patch) {
  const inImage = patch % (rows * columns);
  return [Math.floor(patch / (rows * columns)), Math.floor(inImage / columns), inImage % columns];
}

export class Tiles {
  /** As many images in a row as make them largest within width and height. */
  constructor(batch, width, maxHeight) {
    this.batch = batch;
    this.width = width;
    const n = batch.names.length;
    let best = { tile: 0 };
    for (let across = 1; across <= n; across++) {
      const down = Math.ceil(n / across);
      const tile = Math.min((width - GAP * (across - 1)) / across, (maxHeight - GAP * (down - 1)) / down);
      if (tile > best.tile + 0.01) best = { tile, across, down };
    }
    this.tile = Math.max(best.tile, 8);
    this.across = best.across;
    this.height = Math.ceil(best.down * this.tile + GAP * (best.down - 1));
    this.left = Math.max(0, (width - best.across * this.tile - GAP * (best.across - 1)) / 2);
    this.patch = this.tile / batch.rows;
  }

  /** Top-left corner of an image. */
  origin = (image) => [
    this.left + (image % this.across) * (this.tile + GAP),
    Math.floor(image / this.across) * (this.tile + GAP),
  ];

  /** Top-left corner of a patch. */
  corner(patch) {
    const [image, row, column] = whereIs(this.batch, patch);
    const [x, y] = this.origin(image);
    return [x + column * this.patch, y + row * this.patch];
  }

  /** The patch at a point, or null. */
  at(x, y) {
    const { rows, columns, names } = this.batch;
    const step = this.tile + GAP;
    const across = Math.floor((x - this.left) / step);
    const down = Math.floor(y / step);
    const image = down * this.across + across;
    const column = Math.floor((x - this.left - across * step) / this.patch);
    const row = Math.floor((y - down * step) / this.patch);
    const inside =
      across >= 0 && across < this.across && down >= 0 && image < names.length &&
      column >= 0 && column < columns && row >= 0 && row < rows;
    return inside ? (image * rows + row) * columns + column : null;
  }

  /** The patch one step away, crossing into the neighbouring image. */
  neighbour(patch, dx, dy) {
    const { rows, columns, names } = this.batch;
    let [image, row, column] = whereIs(this.batch, patch);
    row += dy;
    column += dx;
    if (column < 0 || column >= columns) {
      const edge = column < 0 ? image % this.across > 0 : image % this.across < this.across - 1;
      image = edge ? image + dx : -1;
      column = (column + columns) % columns;
    } else if (row < 0 || row >= rows) {
      image += dy * this.across;
      row = (row + rows) % rows;
    }
    return image < 0 || image >= names.length ? patch : (image * rows + row) * columns + column;
  }
}

/** The patch at an image, row and column; null outside the batch. */
export function patchAt({ names, rows, columns }, [image, row, column]) {
  const inside = image < names.length && row < rows && column < columns;
  return inside ? (image * rows + row) * columns + column : null;
}
