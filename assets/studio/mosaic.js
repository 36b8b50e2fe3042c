// All images of the batch on one canvas: photographs, sets, anchor; hover, click, zoom and pan.
import { ANCHOR, POSITIVE } from "./codec.js";
import { h } from "./dom.js";
import { PALETTE, boxes, hatch, outline, patchColours } from "./overlay.js";

const GAP = 6;
const MAX_ZOOM = 16;
const rgb = ([r, g, b], alpha = 1) => `rgba(${r},${g},${b},${alpha})`;

/** Zoom and offset, shared by every mosaic on the page so that they show the same place. */
export class Camera {
  constructor() {
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    this.listeners = [];
  }
  changed() {
    for (const listener of this.listeners) listener();
  }
  fit() {
    Object.assign(this, { scale: 1, x: 0, y: 0 });
    this.changed();
  }
  /** Zoom by a factor; (cx, cy) in canvas pixels stays where it is. */
  zoom(factor, cx, cy) {
    const scale = Math.max(1, Math.min(MAX_ZOOM, this.scale * factor));
    const ratio = scale / this.scale;
    this.x = cx - ratio * (cx - this.x);
    this.y = cy - ratio * (cy - this.y);
    this.scale = scale;
    if (scale === 1) this.x = this.y = 0;
    this.changed();
  }
  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.changed();
  }
}

export class Mosaic {
  /**
   * options: {id, label, camera, describedBy, onPick(patch), onHover(patch or null)}
   * getState() returns the page's state, getView() the view this mosaic shows.
   */
  constructor(options, getState, getView) {
    this.options = options;
    this.getState = getState;
    this.getView = getView;
    this.camera = options.camera;
    this.photos = document.createElement("canvas");
    this.tint = document.createElement("canvas");
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.glass = h("canvas", { class: "glass", "aria-hidden": "true" });
    this.element = h(
      "div",
      {
        id: options.id,
        class: "mosaic",
        tabindex: "0",
        role: "application",
        "aria-roledescription": "image mosaic",
        "aria-label": options.label,
        "aria-describedby": options.describedBy,
        dataset: { ready: "false" },
      },
      this.canvas,
      this.glass,
    );
    this.hovered = null;
    this.preview = null;
    this.maxHeight = 480;
    this.camera.listeners.push(() => {
      this.clampCamera();
      this.photosStale = true;
      this.invalidate();
    });
    this.listen();
    new ResizeObserver(() => this.layout()).observe(this.element);
  }

  setBatch(batch, picture) {
    this.batch = batch;
    this.picture = picture;
    this.hovered = this.preview = null;
    this.lastWidth = 0;
    this.element.dataset.ready = "false";
    this.layout();
  }

  /** Choose the number of columns that makes the tiles largest within width and height. */
  layout() {
    if (!this.batch) return;
    const width = Math.floor(this.element.clientWidth);
    if (!width || (width === this.lastWidth && this.maxHeight === this.lastHeight)) return;
    this.lastWidth = width;
    this.lastHeight = this.maxHeight;
    const n = this.batch.names.length;
    let best = { tile: 0 };
    for (let across = 1; across <= n; across++) {
      const down = Math.ceil(n / across);
      const tile = Math.min((width - GAP * (across - 1)) / across, (this.maxHeight - GAP * (down - 1)) / down);
      if (tile > best.tile + 0.01) best = { tile, across, down };
    }
    this.tile = Math.max(best.tile, 8);
    this.across = best.across;
    this.height = Math.ceil(best.down * this.tile + GAP * (best.down - 1));
    this.width = width;
    this.left = Math.max(0, (width - best.across * this.tile - GAP * (best.across - 1)) / 2);
    const ratio = window.devicePixelRatio || 1;
    this.ratio = ratio;
    for (const canvas of [this.canvas, this.glass, this.photos]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(this.height * ratio);
    }
    for (const canvas of [this.canvas, this.glass]) {
      canvas.style.width = `${width}px`;
      canvas.style.height = `${this.height}px`;
    }
    this.clampCamera();
    this.photosStale = true;
    this.invalidate();
  }

  clampCamera() {
    const { camera } = this;
    if (!this.width) return;
    camera.x = Math.min(0, Math.max(camera.x, this.width * (1 - camera.scale)));
    camera.y = Math.min(0, Math.max(camera.y, this.height * (1 - camera.scale)));
  }

  /** Top-left corner of an image in unzoomed canvas pixels. */
  origin = (image) => [
    this.left + (image % this.across) * (this.tile + GAP),
    Math.floor(image / this.across) * (this.tile + GAP),
  ];

  get patch() {
    return this.tile / this.batch.rows;
  }

  /** The patch under a point of the element, or null. */
  patchAt(x, y) {
    if (!this.batch || !this.tile) return null;
    const wx = (x - this.camera.x) / this.camera.scale - this.left;
    const wy = (y - this.camera.y) / this.camera.scale;
    const across = Math.floor(wx / (this.tile + GAP));
    const down = Math.floor(wy / (this.tile + GAP));
    const image = down * this.across + across;
    const column = Math.floor((wx - across * (this.tile + GAP)) / this.patch);
    const row = Math.floor((wy - down * (this.tile + GAP)) / this.patch);
    const { rows, columns, names } = this.batch;
    const inside =
      across >= 0 && across < this.across && down >= 0 && image < names.length &&
      column >= 0 && column < columns && row >= 0 && row < rows;
    return inside ? (image * rows + row) * columns + column : null;
  }

  /** Middle of a patch in pixels of the element, for tests and scripts. */
  centreOf(patch) {
    const { rows, columns } = this.batch;
    const image = Math.floor(patch / (rows * columns));
    const row = Math.floor((patch % (rows * columns)) / columns);
    const [x, y] = this.origin(image);
    const at = (value, offset) => value * this.camera.scale + offset;
    return [
      at(x + ((patch % columns) + 0.5) * this.patch, this.camera.x),
      at(y + (row + 0.5) * this.patch, this.camera.y),
    ];
  }

  /** The patch one step away, crossing into the neighbouring image of the mosaic. */
  neighbour(patch, dx, dy) {
    const { rows, columns, names } = this.batch;
    let image = Math.floor(patch / (rows * columns));
    let row = Math.floor((patch % (rows * columns)) / columns) + dy;
    let column = (patch % columns) + dx;
    let next = image;
    if (column < 0 || column >= columns) {
      const edge = column < 0 ? image % this.across > 0 : image % this.across < this.across - 1;
      next = edge ? image + dx : -1;
      column = (column + columns) % columns;
    } else if (row < 0 || row >= rows) {
      next = image + dy * this.across;
      row = (row + rows) % rows;
    }
    return next < 0 || next >= names.length ? patch : (next * rows + row) * columns + column;
  }

  invalidate() {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      this.draw();
    });
  }

  /** Draw everything now and tell the element's data-* attributes what is shown. */
  draw() {
    if (!this.batch || !this.tile) return;
    const state = this.getState();
    const view = this.getView();
    if (this.photosStale) this.drawPhotos();
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.drawImage(this.photos, 0, 0);
    if (view) {
      const step = Math.min(state.step, view.steps.length - 1);
      this.world(context);
      if (state.look.style === "boxes") this.drawBoxes(context, state, view.codes[step]);
      else this.drawTint(context, state, view, step);
      if (state.look.grid) this.drawGrid(context);
      this.drawMarks(context, state, view, step);
      this.report(state, view, step);
    }
    this.drawGlass();
  }

  world(context) {
    const { ratio, camera } = this;
    context.setTransform(ratio * camera.scale, 0, 0, ratio * camera.scale, ratio * camera.x, ratio * camera.y);
  }

  /** A line width that looks the same at every zoom. */
  thin = (pixels) => pixels / this.camera.scale;

  drawPhotos() {
    const context = this.photos.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.photos.width, this.photos.height);
    this.world(context);
    context.imageSmoothingQuality = "high";
    const { names, size, atlas_columns: across } = this.batch;
    for (let image = 0; image < names.length; image++) {
      const [x, y] = this.origin(image);
      const sx = (image % across) * size;
      const sy = Math.floor(image / across) * size;
      context.drawImage(this.picture, sx, sy, size, size, x, y, this.tile, this.tile);
    }
    this.photosStale = false;
  }

  drawTint(context, state, view, step) {
    const { rows, columns, names } = this.batch;
    const colours = patchColours(state, view, step);
    this.tint.width = columns;
    this.tint.height = rows * names.length;
    this.tint.getContext("2d").putImageData(new ImageData(colours, columns, rows * names.length), 0, 0);
    context.imageSmoothingEnabled = false;
    for (let image = 0; image < names.length; image++) {
      const [x, y] = this.origin(image);
      context.drawImage(this.tint, 0, image * rows, columns, rows, x, y, this.tile, this.tile);
    }
    if (state.look.style !== "sets") return;
    const codes = view.codes[step];
    if (state.look.show.ambiguous && this.patch * this.camera.scale >= 5) {
      context.strokeStyle = `rgba(60,30,0,${0.55 * state.look.opacity})`;
      context.lineWidth = this.thin(1);
      context.stroke(hatch(this.batch, codes, this.origin, this.patch));
    }
    if (state.look.show.positive) {
      context.strokeStyle = `rgba(255,255,255,${Math.min(1, 0.35 + state.look.opacity)})`;
      context.lineWidth = this.thin(1.25);
      context.stroke(outline(this.batch, (j) => codes[j] === POSITIVE || codes[j] === ANCHOR, this.origin, this.patch));
    }
  }

  drawBoxes(context, state, codes) {
    const styles = [["ambiguous", 1], ["positive", POSITIVE]];
    for (const [set, code] of styles) {
      if (!state.look.show[set]) continue;
      context.strokeStyle = rgb(PALETTE[set], 0.4 + 0.6 * state.look.opacity);
      context.lineWidth = this.thin(1.5);
      context.stroke(boxes(this.batch, codes, code, this.origin, this.patch));
    }
  }

  drawGrid(context) {
    const path = new Path2D();
    for (let image = 0; image < this.batch.names.length; image++) {
      const [x, y] = this.origin(image);
      for (let k = 0; k <= this.batch.rows; k++) {
        path.moveTo(x, y + k * this.patch);
        path.lineTo(x + this.tile, y + k * this.patch);
        path.moveTo(x + k * this.patch, y);
        path.lineTo(x + k * this.patch, y + this.tile);
      }
    }
    context.strokeStyle = "rgba(255,255,255,0.28)";
    context.lineWidth = this.thin(0.5);
    context.stroke(path);
  }

  /** The anchor, the patch nearest to the proxy, and the patches chosen on the map. */
  drawMarks(context, state, view, step) {
    if (state.selection?.size) {
      context.strokeStyle = "#fff";
      context.lineWidth = this.thin(3.5);
      const path = outline(this.batch, (j) => state.selection.has(j), this.origin, this.patch);
      context.stroke(path);
      context.strokeStyle = "#00a878";
      context.lineWidth = this.thin(2);
      context.stroke(path);
    }
    const nearest = view.steps[step].nearest[0];
    if (step > 0 && nearest !== undefined) {
      const [x, y, p] = this.corner(nearest);
      for (const [width, style] of [[4, "#fff"], [2, rgb(PALETTE.anchor)]]) {
        context.beginPath();
        context.arc(x + p / 2, y + p / 2, p * 0.42 + this.thin(1), 0, 2 * Math.PI);
        context.lineWidth = this.thin(width);
        context.strokeStyle = style;
        context.stroke();
      }
    }
    this.square(context, state.anchor, [[5, "#fff"], [2.5, rgb(PALETTE.anchor)]]);
  }

  corner(patch) {
    const { rows, columns } = this.batch;
    const [x, y] = this.origin(Math.floor(patch / (rows * columns)));
    const row = Math.floor((patch % (rows * columns)) / columns);
    return [x + (patch % columns) * this.patch, y + row * this.patch, this.patch];
  }

  square(context, patch, strokes) {
    const [x, y, p] = this.corner(patch);
    for (const [width, style] of strokes) {
      context.lineWidth = this.thin(width);
      context.strokeStyle = style;
      context.strokeRect(x, y, p, p);
    }
  }

  /** What follows the mouse, on a canvas of its own so that the rest is not drawn again. */
  drawGlass() {
    const context = this.glass.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.glass.width, this.glass.height);
    if (this.hovered === null) return;
    this.world(context);
    if (this.preview && this.preview.patch === this.hovered) {
      const { codes } = this.preview;
      const path = outline(this.batch, (j) => codes[j] >= POSITIVE, this.origin, this.patch);
      context.setLineDash([this.thin(4), this.thin(3)]);
      for (const [width, style] of [[3, "rgba(0,0,0,0.75)"], [1.5, "#fff"]]) {
        context.lineWidth = this.thin(width);
        context.strokeStyle = style;
        context.stroke(path);
      }
      context.setLineDash([]);
    }
    this.square(context, this.hovered, [[4, "rgba(0,0,0,0.8)"], [2, "#fff"]]);
  }

  hover(patch) {
    if (this.hovered === patch) return;
    this.hovered = patch;
    this.element.dataset.hover = patch === null ? "" : this.position(patch);
    this.drawGlass();
  }

  position(patch) {
    const { rows, columns } = this.batch;
    const inImage = patch % (rows * columns);
    return `${Math.floor(patch / (rows * columns))},${Math.floor(inImage / columns)},${inImage % columns}`;
  }

  report(state, view, step) {
    const { dataset } = this.element;
    const numbers = view.steps[step];
    dataset.anchor = this.position(state.anchor);
    dataset.step = String(step);
    for (const set of ["positive", "ambiguous", "negative"]) dataset[set] = String(numbers[set]);
    dataset.selected = String(state.selection?.size ?? 0);
    dataset.ready = "true";
    this.options.onDrawn?.();
  }

  listen() {
    const { element, camera } = this;
    const pointers = new Map();
    let dragged = 0;
    let pinch = 0;
    const place = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      pointers.set(event.pointerId, place(event));
      if (pointers.size === 1) dragged = 0;
      if (pointers.size === 2) pinch = spread(pointers);
      element.setPointerCapture(event.pointerId);
    });
    element.addEventListener("pointermove", (event) => {
      const [x, y] = place(event);
      const before = pointers.get(event.pointerId);
      if (!before) {
        this.options.onHover(this.patchAt(x, y));
        return;
      }
      pointers.set(event.pointerId, [x, y]);
      if (pointers.size === 2) {
        const now = spread(pointers);
        dragged = 100;
        if (pinch > 0) camera.zoom(now / pinch, ...middle(pointers));
        pinch = now;
      } else if (camera.scale > 1) {
        dragged += Math.abs(x - before[0]) + Math.abs(y - before[1]);
        if (dragged > 4) camera.pan(x - before[0], y - before[1]);
      } else {
        dragged += Math.abs(x - before[0]) + Math.abs(y - before[1]);
      }
    });
    const release = (event) => {
      const known = pointers.delete(event.pointerId);
      if (event.type !== "pointerup" || !known || dragged > 8) return;
      const patch = this.patchAt(...place(event));
      element.focus({ preventScroll: true });
      if (patch !== null) this.options.onPick(patch);
    };
    element.addEventListener("pointerup", release);
    element.addEventListener("pointercancel", release);
    element.addEventListener("pointerleave", () => this.options.onHover(null));
    element.addEventListener(
      "wheel",
      (event) => {
        if (!(event.ctrlKey || event.metaKey)) return;
        event.preventDefault();
        camera.zoom(Math.exp(-event.deltaY / 300), ...place(event));
      },
      { passive: false },
    );
    camera.listeners.push(() => element.classList.toggle("zoomed", camera.scale > 1));
  }
}

const spread = (pointers) => {
  const [[x1, y1], [x2, y2]] = pointers.values();
  return Math.hypot(x1 - x2, y1 - y2);
};
const middle = (pointers) => {
  const [[x1, y1], [x2, y2]] = pointers.values();
  return [(x1 + x2) / 2, (y1 + y2) / 2];
};
