// One picture under its segments, on a canvas. Names, colours and opacity never ask the server.
import { Camera } from "../shared/camera.js";
import { h } from "../shared/dom.js";
import { loadIds, loadPhoto, paint, paintEdges } from "../shared/label-view.js";

const DRAGGED = 4; // pixels; less is a click
const WHEEL = 1.2;

export class SegmentView {
  /** hooks: {hover(id or null, event), pick(id, event), enlarge(), drawn()}. */
  constructor(picture, hooks) {
    this.picture = picture;
    this.hooks = hooks;
    this.name = picture.name;
    this.camera = new Camera(() => hooks.drawn());
    this.tint = document.createElement("canvas");
    this.lines = document.createElement("canvas");
    this.canvas = h("canvas", { role: "img", tabindex: "0", "aria-label": `${picture.name}, segmented` });
    [this.shownWidth, this.shownHeight] = picture.shown;
    this.ratio = this.shownWidth / this.shownHeight;
    this.resize(this.shownWidth, this.shownHeight);
    const label = `Enlarge ${picture.name}`;
    this.element = h(
      "figure",
      { class: "segmented", dataset: { ready: "false" } },
      this.canvas,
      h(
        "figcaption",
        { title: `${picture.name}, ${picture.width} × ${picture.height}` },
        h("span", { class: "name" }, picture.name),
        h("span", { class: "size" }, `${picture.width} × ${picture.height}`),
        h("button", { type: "button", class: "quiet", "aria-label": label, title: "Enlarge (or double-click)", onclick: () => hooks.enlarge() }, "⤢"),
      ),
    );
    this.listen();
  }

  resize(width, height) {
    Object.assign(this, { width, height });
    Object.assign(this.canvas, { width, height });
  }

  listen() {
    const { canvas, camera, hooks } = this;
    let from = null, way = 0;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      [from, way] = [this.share(event), 0];
      if (camera.scale > 1) canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (from) {
        const now = this.share(event);
        const [across, down] = [from[0] - now[0], from[1] - now[1]];
        way += Math.hypot(across * canvas.clientWidth, down * canvas.clientHeight);
        from = now;
        if (way > DRAGGED && camera.scale > 1) camera.move(across, down);
      }
      hooks.hover(this.idAt(event), event);
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (from = null));
    canvas.addEventListener("pointerleave", (event) => hooks.hover(null, event));
    canvas.addEventListener("click", (event) => {
      const id = this.idAt(event);
      if (id !== null && way <= DRAGGED) hooks.pick(id, event);
    });
    canvas.addEventListener("dblclick", () => hooks.enlarge());
    canvas.addEventListener("keydown", (event) => {
      if (event.key === "Enter") hooks.enlarge();
    });
    canvas.addEventListener(
      "wheel",
      (event) => {
        // In the grid the wheel moves the page, as everywhere.
        if (!event.ctrlKey && !event.metaKey && !this.enlarged) return;
        event.preventDefault();
        camera.zoom(event.deltaY < 0 ? WHEEL : 1 / WHEEL, ...this.share(event));
      },
      { passive: false },
    );
  }

  async load(picture, url) {
    const [photo, ids] = await Promise.all([this.photo ?? loadPhoto(picture.photo), loadIds(url, this.shownWidth * this.shownHeight)]);
    this.use(photo, ids, this.shownWidth, this.shownHeight);
    [this.small, this.url] = [{ photo, ids }, url];
    this.element.dataset.ready = "true";
  }

  /** As many pixels as there are, for looking closely; returns whether that changed anything. */
  async loadLarge() {
    const [width, height] = this.picture.large;
    if (width === this.width) return false;
    const { url } = this;
    const [photo, ids] = await Promise.all([loadPhoto(`${this.picture.photo}/large`), loadIds(`${url}/large`, width * height)]);
    if (!this.enlarged || url !== this.url) return false;
    this.use(photo, ids, width, height);
    return true;
  }

  /** What the grid shows again. */
  dropLarge() {
    if (this.small) this.use(this.small.photo, this.small.ids, this.shownWidth, this.shownHeight);
    this.camera.fit(false);
  }

  use(photo, ids, width, height) {
    Object.assign(this, { photo, ids });
    this.resize(width, height);
    paintEdges(this.lines, ids, width, height);
  }

  /** Where an event is, in shares of the canvas. */
  share(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  /** The id under the pointer, or null. */
  idAt(event) {
    if (!this.ids) return null;
    // A click's place is rounded, to a pixel beside the canvas at its border.
    const [across, down] = this.share(event).map((at) => Math.min(1, Math.max(0, at)));
    const { left, top, side } = this.camera.window;
    const x = Math.min(this.width - 1, Math.floor((left + across * side) * this.width));
    const y = Math.min(this.height - 1, Math.floor((top + down * side) * this.height));
    return this.ids[y * this.width + x];
  }

  /** A point of the canvas, in CSS pixels, that shows an id; for tests and scripts. */
  pointOf(id) {
    const places = [];
    for (let i = 0; i < this.ids.length; i++) if (this.ids[i] === id) places.push(i);
    if (!places.length) return null;
    const place = places[places.length >> 1];
    const box = this.canvas.getBoundingClientRect();
    const { left, top, side } = this.camera.window;
    const x = ((place % this.width) + 0.5) / this.width, y = (Math.floor(place / this.width) + 0.5) / this.height;
    return [((x - left) / side) * box.width, ((y - top) / side) * box.height];
  }

  colour(table) {
    if (this.ids) paint(this.tint, this.ids, this.width, this.height, table);
  }

  draw({ opacity, outline }) {
    if (!this.ids) return;
    const { canvas, width, height } = this;
    const context = canvas.getContext("2d");
    const { left, top, side } = this.camera.window;
    const put = (image, across, down) => context.drawImage(image, left * across, top * down, side * across, side * down, 0, 0, width, height);
    context.globalAlpha = 1;
    context.imageSmoothingEnabled = true;
    put(this.photo, this.photo.naturalWidth, this.photo.naturalHeight);
    context.imageSmoothingEnabled = false;
    context.globalAlpha = opacity;
    put(this.tint, width, height);
    context.globalAlpha = 1;
    if (outline) put(this.lines, width, height);
    canvas.style.touchAction = this.camera.scale > 1 ? "none" : "pan-y pinch-zoom";
    canvas.classList.toggle("zoomed", this.camera.scale > 1);
  }
}
