// All images of the batch on one canvas: photographs, sets, anchor; hover, click, zoom and pan.
import { AMBIGUOUS, ANCHOR, POSITIVE } from "../shared/codec.js";
import { h } from "../shared/dom.js";
import { listenToPointers } from "./gestures.js";
import { drawKeptNumbers, drawKeptSets } from "./keptmarks.js";
import { PALETTE, boxes, hatch, lattice, outline, tintSheet } from "./overlay.js";
import { patchColours, styleOf } from "./styles/index.js";
import { Tiles, whereIs } from "./tiles.js";

// As in ppap/studio/explore/looks/base.py.
const MARKED = "rgb(226,61,40)";
const rgb = ([r, g, b], alpha = 1) => `rgba(${r},${g},${b},${alpha})`;

export class Mosaic {
  /**
   * options: {id, label, camera, describedBy, onPick(patch, event), onDouble(image), onHover(patch or null)}
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
      if (this.tiles && this.tiles.filling !== this.filling) this.layout();
      if (this.tiles) this.camera.clamp(this.tiles.width, this.tiles.height);
      this.element.classList.toggle("zoomed", this.camera.scale > 1);
      this.photosStale = true;
      this.invalidate();
    });
    listenToPointers(this.element, this.canvas, this.camera, {
      pick: (x, y, event) => {
        const patch = this.patchAt(x, y);
        if (patch === null || this.camera.settling) return;
        const image = whereIs(this.batch, patch)[0];
        if (this.filling !== null && image !== this.filling) this.camera.fill(image);
        else options.onPick(patch, event);
      },
      double: (x, y) => {
        const patch = this.patchAt(x, y);
        if (patch !== null && !this.camera.settling) options.onDouble(whereIs(this.batch, patch)[0]);
      },
      hover: (x, y) => {
        this.camera.pointer = [x, y];
        options.onHover(this.patchAt(x, y));
      },
      leave: () => {
        this.camera.pointer = null;
        options.onHover(null);
      },
    });
    new ResizeObserver(() => this.layout()).observe(this.element);
  }

  /** photos: the batch whose photographs the picture holds, where this one has none of its own. */
  setBatch(batch, picture, photos = batch) {
    this.batch = batch;
    this.photosOf = photos;
    this.picture = picture;
    this.hovered = this.preview = null;
    this.tiles = null;
    this.lastWidth = 0;
    this.element.dataset.ready = "false";
    this.layout();
  }

  /** The image that fills the room, if this batch has it. */
  get filling() {
    const { filling } = this.camera;
    return filling !== null && filling < this.batch.names.length ? filling : null;
  }

  /** Fit the tiles into the element's width and the height the page allows. */
  layout() {
    if (!this.batch) return;
    const width = Math.floor(this.element.clientWidth);
    const same = width === this.lastWidth && this.maxHeight === this.lastHeight && this.tiles?.filling === this.filling;
    if (!width || same) return;
    this.lastWidth = width;
    this.lastHeight = this.maxHeight;
    this.tiles = new Tiles(this.batch, width, this.maxHeight, this.filling);
    const { height } = this.tiles;
    this.ratio = window.devicePixelRatio || 1;
    for (const canvas of [this.canvas, this.glass, this.photos]) {
      canvas.width = Math.round(width * this.ratio);
      canvas.height = Math.round(height * this.ratio);
    }
    for (const canvas of [this.canvas, this.glass]) {
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    this.camera.clamp(width, height);
    this.photosStale = true;
    this.invalidate();
  }

  /** The patch under a point of the canvas, or null. */
  patchAt(x, y) {
    const { camera } = this;
    return this.tiles?.at((x - camera.x) / camera.scale, (y - camera.y) / camera.scale) ?? null;
  }

  /** Middle of a patch in pixels of the canvas, for tests and scripts. */
  centreOf(patch) {
    const { camera } = this;
    const [x, y] = this.tiles.corner(patch).map((value) => (value + this.tiles.side(patch) / 2) * camera.scale);
    return [x + camera.x, y + camera.y];
  }

  /** Zoom to the mouse where it is over a mosaic, else to a patch, which is brought into view. */
  zoom(factor, patch) {
    const { camera, tiles } = this;
    if (camera.pointer) {
      camera.zoom(factor, ...camera.pointer);
      return;
    }
    const [x, y] = this.centreOf(patch);
    if (x < 0 || x > tiles.width || y < 0 || y > tiles.height) camera.pan(tiles.width / 2 - x, tiles.height / 2 - y);
    camera.zoom(factor, ...this.centreOf(patch));
  }

  /** "image,row,column" of a patch. */
  position = (patch) => whereIs(this.batch, patch).join(",");

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
    if (!this.tiles) return;
    const state = this.getState();
    const view = this.getView();
    const grey = Boolean(view && styleOf(state.look.style).grey);
    if (grey !== this.grey) this.photosStale = true;
    this.grey = grey;
    if (this.photosStale) this.drawPhotos();
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.drawImage(this.photos, 0, 0);
    if (!view) {
      this.element.dataset.ready = "false";
    } else {
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
    const { tiles } = this;
    const { grids, atlas, atlas_patch: side } = this.photosOf;
    grids.forEach(([rows, columns], image) => {
      const { x, y, width, height } = tiles.places[image];
      context.drawImage(this.picture, ...atlas[image], columns * side, rows * side, x, y, width, height);
    });
    if (this.grey) this.takeColours(context);
    this.photosStale = false;
  }

  /** Leave the photographs' brightness only: colours of a scale upon colours would mislead. */
  takeColours(context) {
    context.globalCompositeOperation = "saturation";
    context.fillStyle = "#808080";
    for (const { x, y, width, height } of this.tiles.places) context.fillRect(x, y, width, height);
    context.globalCompositeOperation = "source-over";
  }

  drawTint(context, state, view, step) {
    const { tiles } = this;
    const { grids, atlas, atlas_patch: side } = this.batch;
    const colours = patchColours(state, view, step);
    if (!colours) return;
    const sheet = tintSheet(this.batch, colours);
    this.tint.width = sheet.width;
    this.tint.height = sheet.height;
    this.tint.getContext("2d").putImageData(sheet, 0, 0);
    context.imageSmoothingEnabled = false;
    grids.forEach(([rows, columns], image) => {
      const { x, y, width, height } = tiles.places[image];
      context.drawImage(this.tint, ...atlas[image].map((at) => at / side), columns, rows, x, y, width, height);
    });
    if (state.look.style !== "sets") return;
    const codes = view.codes[step];
    if (state.look.show.ambiguous) {
      context.strokeStyle = `rgba(60,30,0,${0.55 * state.look.opacity})`;
      context.lineWidth = this.thin(1);
      context.stroke(hatch(this.tiles, codes, this.thin(5)));
    }
    if (state.look.show.positive) {
      context.strokeStyle = `rgba(255,255,255,${Math.min(1, 0.35 + state.look.opacity)})`;
      context.lineWidth = this.thin(1.25);
      context.stroke(outline(this.tiles, (j) => codes[j] === POSITIVE || codes[j] === ANCHOR));
    }
  }

  drawBoxes(context, state, codes) {
    const styles = [["ambiguous", AMBIGUOUS], ["positive", POSITIVE]];
    for (const [set, code] of styles) {
      if (!state.look.show[set]) continue;
      context.strokeStyle = rgb(PALETTE[set], 0.4 + 0.6 * state.look.opacity);
      context.lineWidth = this.thin(1.5);
      context.stroke(boxes(this.tiles, codes, code));
    }
  }

  drawGrid(context) {
    context.strokeStyle = "rgba(255,255,255,0.28)";
    context.lineWidth = this.thin(0.5);
    context.stroke(lattice(this.tiles));
  }

  /** The anchor, the patch nearest to the proxy, and the patches chosen on the map. */
  drawMarks(context, state, view, step) {
    if (state.selection?.size) {
      context.strokeStyle = "#fff";
      context.lineWidth = this.thin(3.5);
      const path = outline(this.tiles, (j) => state.selection.has(j));
      context.stroke(path);
      context.strokeStyle = "#00a878";
      context.lineWidth = this.thin(2);
      context.stroke(path);
    }
    if (state.kept?.length && view === state.view && state.look.style !== "trust") drawKeptSets(context, this.tiles, state, this.thin);
    for (const patch of styleOf(state.look.style).marked?.(state) ?? []) this.square(context, patch, [[3.5, "#fff"], [2, MARKED]]);
    const nearest = view.steps[step].nearest[0];
    if (step > 0 && nearest !== undefined) {
      const [x, y] = this.tiles.corner(nearest);
      const p = this.tiles.side(nearest);
      for (const [width, style] of [[4, "#fff"], [2, rgb(PALETTE.anchor)]]) {
        context.beginPath();
        context.arc(x + p / 2, y + p / 2, p * 0.42 + this.thin(1), 0, 2 * Math.PI);
        context.lineWidth = this.thin(width);
        context.strokeStyle = style;
        context.stroke();
      }
    }
    this.square(context, state.anchor, [[5, "#fff"], [2.5, rgb(PALETTE.anchor)]]);
    if (state.kept?.length) drawKeptNumbers(context, this.tiles, state, this.thin);
  }

  square(context, patch, strokes) {
    const [x, y] = this.tiles.corner(patch);
    const p = this.tiles.side(patch);
    for (const [width, style] of strokes) {
      context.lineWidth = this.thin(width);
      context.strokeStyle = style;
      context.strokeRect(x, y, p, p);
    }
  }

  /** What follows the mouse, on a canvas of its own so that the rest is not drawn again. */
  drawGlass() {
    if (!this.tiles) return;
    const context = this.glass.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.glass.width, this.glass.height);
    if (this.hovered === null) return;
    this.world(context);
    if (this.preview && this.preview.patch === this.hovered) {
      const { codes } = this.preview;
      const path = outline(this.tiles, (j) => codes[j] >= POSITIVE);
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
    if (this.hovered === patch || !this.batch) return;
    this.hovered = patch;
    this.element.dataset.hover = patch === null ? "" : this.position(patch);
    this.drawGlass();
  }

  report(state, view, step) {
    const { dataset } = this.element;
    const numbers = view.steps[step];
    dataset.anchor = this.position(state.anchor);
    dataset.step = String(step);
    dataset.filling = String(this.filling ?? "");
    for (const set of ["positive", "ambiguous", "negative"]) dataset[set] = String(numbers[set]);
    dataset.selected = String(state.selection?.size ?? 0);
    dataset.ready = "true";
    this.options.onDrawn?.();
  }
}
