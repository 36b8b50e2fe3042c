// One picture of an image: the photo, a layer of colours over it, and the square that was scored.
import { h } from "../shared/dom.js";

const MOST_RATIO = 2;
const DRAGGED = 4; // pixels; less is a click
const ZOOM = 1.5;
const STEP = 0.2; // of the view, by an arrow key

export class Picture {
  /** on: {enlarge(), hover(x, y) in shares of the image or null, step(by)}. */
  constructor(title, differs, camera, on) {
    Object.assign(this, { camera, on, title });
    this.canvas = h("canvas", { role: "img", tabindex: "0", "aria-label": [title, differs].filter(Boolean).join(", "), title: "Click to enlarge or shrink; Ctrl + wheel to zoom; drag to move." });
    this.spot = h("i", { class: "spot", hidden: true });
    this.heading = h("span", { class: "title" }, title);
    this.enlarge = h("button", { type: "button", class: "quiet", "aria-label": `Enlarge ${title}`, title: "Enlarge or shrink", onclick: () => on.enlarge() }, "⤢");
    this.element = h("figure", { class: "segmented" }, h("div", { class: "canvas" }, this.canvas, this.spot), h("figcaption", {}, this.heading, differs ? h("small", {}, differs) : null, this.enlarge));
    this.listen();
  }

  /** Call it otherwise. */
  name(title) {
    this.heading.textContent = title;
    this.canvas.setAttribute("aria-label", title);
    this.enlarge.setAttribute("aria-label", `Enlarge ${title}`);
  }

  /** photo: an image; layer: a canvas or null; width, height: of the layer; square: to be outlined, or null. */
  show({ photo, layer, width, height, square, opacity }) {
    Object.assign(this, { photo, layer, width, height, square, opacity });
    this.canvas.style.aspectRatio = `${width} / ${height}`;
    this.element.style.setProperty("--ratio", String(width / height));
    this.draw();
  }

  draw() {
    const { canvas, photo, layer } = this;
    if (!photo) return;
    const box = canvas.getBoundingClientRect();
    const ratio = Math.min(MOST_RATIO, devicePixelRatio || 1);
    const [across, down] = [Math.max(1, Math.round(box.width * ratio)), Math.max(1, Math.round(box.height * ratio))];
    if (canvas.width !== across || canvas.height !== down) Object.assign(canvas, { width: across, height: down });
    const context = canvas.getContext("2d");
    const { left, top, side } = this.camera.window;
    const put = (image, width, height) => context.drawImage(image, left * width, top * height, side * width, side * height, 0, 0, across, down);
    context.globalAlpha = 1;
    context.imageSmoothingEnabled = true;
    put(photo, photo.naturalWidth, photo.naturalHeight);
    if (layer) {
      context.globalAlpha = this.opacity;
      context.imageSmoothingEnabled = false;
      put(layer, this.width, this.height);
      context.globalAlpha = 1;
    }
    if (this.square) this.outline(context, across, down, ratio);
    canvas.style.touchAction = this.camera.scale > 1 ? "none" : "pan-y pinch-zoom";
  }

  /** What lies outside of the square steps back. */
  outline(context, across, down, ratio) {
    const { left, top, size } = this.square;
    const [x, y] = this.toView(left / this.width, top / this.height, across, down);
    const [right, bottom] = this.toView((left + size) / this.width, (top + size) / this.height, across, down);
    context.fillStyle = "rgb(10 14 24 / 0.45)";
    context.beginPath();
    context.rect(0, 0, across, down);
    context.rect(x, y, right - x, bottom - y);
    context.fill("evenodd");
    for (const [colour, width] of [["rgb(0 0 0 / 0.6)", 3], ["#fff", 1.25]]) {
      context.strokeStyle = colour;
      context.lineWidth = width * ratio;
      context.strokeRect(x, y, right - x, bottom - y);
    }
  }

  toView(x, y, across, down) {
    const { left, top, side } = this.camera.window;
    return [((x - left) / side) * across, ((y - top) / side) * down];
  }

  /** Where an event is, in shares of the view and of the image. */
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const view = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    const { left, top, side } = this.camera.window;
    const within = (value) => Math.min(1 - 1e-9, Math.max(0, value));
    return { view, image: [within(left + view[0] * side), within(top + view[1] * side)] };
  }

  /** A point of the canvas, in CSS pixels, that shows a pixel of the label map; for tests and scripts. */
  pointOf(x, y) {
    const box = this.canvas.getBoundingClientRect();
    return this.toView((x + 0.5) / this.width, (y + 0.5) / this.height, box.width, box.height);
  }

  /** Mark a place of the image, or none. */
  mark(place) {
    this.spot.hidden = !place;
    if (!place) return;
    const [x, y] = this.toView(...place, 100, 100);
    this.spot.hidden = x < 0 || y < 0 || x > 100 || y > 100;
    Object.assign(this.spot.style, { left: `${x}%`, top: `${y}%` });
  }

  listen() {
    const { canvas, camera, on } = this;
    let from = null, way = 0;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      [from, way] = [this.place(event).view, 0];
      if (event.pointerType !== "touch" || camera.scale > 1) canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const { view, image } = this.place(event);
      if (from) {
        const [across, down] = [from[0] - view[0], from[1] - view[1]];
        way += Math.hypot(across * canvas.clientWidth, down * canvas.clientHeight);
        from = view;
        if (way > DRAGGED && camera.scale > 1) camera.move(across, down);
      }
      on.hover(image);
    });
    canvas.addEventListener("pointerup", () => {
      if (from && way <= DRAGGED) on.enlarge();
      from = null;
    });
    canvas.addEventListener("pointercancel", () => (from = null));
    canvas.addEventListener("pointerleave", () => on.hover(null));
    canvas.addEventListener("wheel", (event) => {
      if (!(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      camera.zoom(Math.exp(-event.deltaY / 300), ...this.place(event).view);
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { camera, on } = this;
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const way = ways[event.key];
    if (event.key === "Enter" || event.key === " ") on.enlarge();
    else if (event.key === "+" || event.key === "=") camera.zoom(ZOOM);
    else if (event.key === "-") camera.zoom(1 / ZOOM);
    else if (event.key === "0") camera.fit();
    else if (way && camera.scale > 1) camera.move(...way.map((one) => one * STEP));
    else if (way && way[0]) on.step(way[0]);
    else return;
    event.preventDefault();
  }
}
