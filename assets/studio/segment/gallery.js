// The pictures: in rows that waste no room, or one of them as large as the page allows.
import { h } from "../shared/dom.js";
import { rowsOf, wantedHeight } from "./rows.js";

const GAP = 10;
const LEAST = 130; // pixels of a row's height
const CLOSER = 1.5;
const STEP = 0.2; // of the view, by an arrow key

export class Gallery {
  /** on: {redraw(all): pictures have to be drawn anew, all of them or none in other colours; fail(text)}. */
  constructor(on) {
    this.on = on;
    this.views = [];
    this.large = null;
    this.grid = h("div", { class: "segment-grid" });
    const button = (text, label, act) => h("button", { type: "button", "aria-label": label, title: label, onclick: act }, text);
    this.before = button("‹", "Previous image (←)", () => this.step(-1));
    this.after = button("›", "Next image (→)", () => this.step(1));
    this.title = h("strong", { class: "name" });
    this.scale = h("output", {});
    this.bar = h(
      "div",
      { class: "closer", role: "toolbar", "aria-label": "Zoom", hidden: true },
      this.before,
      this.after,
      this.title,
      h(
        "span",
        { class: "end" },
        button("−", "Zoom out (−)", () => this.zoom(1 / CLOSER)),
        this.scale,
        button("+", "Zoom in (+)", () => this.zoom(CLOSER)),
        button("Fit", "Show the whole image (0)", () => this.large.camera.fit()),
        button("All images", "Back to all images (Esc)", () => this.shrink()),
      ),
    );
    this.element = h("div", { class: "gallery" }, this.bar, this.grid);
    this.element.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.layOut()).observe(this.grid);
    window.addEventListener("resize", () => this.layOut());
  }

  /** Show pictures, of so many to come; one that was enlarged and is still there stays so. */
  show(views, expected = views.length) {
    this.share = views.length / Math.max(1, views.length, expected);
    const kept = this.large && views.includes(this.large) ? this.large : null;
    if (this.large && !kept) this.shrink(false);
    this.views = views;
    // What is there already is not put in again: a canvas would be drawn anew.
    const wanted = views.map((view) => view.element);
    if (wanted.some((element, i) => this.grid.children[i] !== element) || this.grid.children.length !== wanted.length) this.grid.replaceChildren(...wanted);
    this.grid.dataset.count = String(views.length);
    this.grid.classList.remove("waiting");
    this.layOut(true);
  }

  layOut(anew = false) {
    const width = this.grid.clientWidth, room = window.innerHeight;
    if (!width || (!anew && this.laidOut?.[0] === width && this.laidOut[1] === room)) return;
    this.laidOut = [width, room];
    if (this.large) return this.layOutLarge(width, room);
    const ratios = this.views.map((view) => view.ratio);
    const most = 0.74 * room;
    // Rows are as high as they will be when all pictures have come.
    const wanted = wantedHeight(ratios, width, 0.66 * room * this.share, Math.min(LEAST, width / 3), most);
    for (const { from, to, height } of rowsOf(ratios, width, GAP, wanted, most)) {
      for (let i = from; i < to; i++) {
        // Rounded down: a row that is a pixel too long would break.
        this.views[i].element.style.width = `${Math.floor(height * ratios[i] * 100) / 100}px`;
      }
    }
  }

  layOutLarge(width, room) {
    this.large.element.style.width = `${Math.floor(Math.min(width, 0.8 * room * this.large.ratio))}px`;
  }

  // --- one of them

  enlarge(view) {
    if (this.large === view) return this.shrink();
    if (this.large) this.drop();
    this.large = view;
    view.enlarged = true;
    this.grid.classList.add("single");
    view.element.classList.add("large");
    this.bar.hidden = false;
    this.title.textContent = this.title.title = view.name;
    this.layOut(true);
    this.tell();
    view.canvas.focus({ preventScroll: true });
    this.element.scrollIntoView({ block: "nearest" });
    this.on.redraw(true);
    view.loadLarge().then(
      (more) => more && this.on.redraw(true),
      (error) => this.on.fail(error.message),
    );
  }

  drop() {
    const view = this.large;
    view.enlarged = false;
    view.dropLarge();
    view.element.classList.remove("large");
    this.large = null;
  }

  shrink(told = true) {
    if (!this.large) return;
    const { canvas } = this.large;
    this.drop();
    this.grid.classList.remove("single");
    this.bar.hidden = true;
    if (!told) return;
    this.layOut(true);
    this.on.redraw(true);
    canvas.focus({ preventScroll: true });
    canvas.scrollIntoView({ block: "nearest" });
  }

  step(by) {
    const at = this.views.indexOf(this.large) + by;
    if (this.views[at]) this.enlarge(this.views[at]);
  }

  zoom(factor) {
    this.large?.camera.zoom(factor);
  }

  /** How large it is, after each drawing. */
  tell() {
    if (!this.large) return;
    const at = this.views.indexOf(this.large);
    this.before.disabled = at <= 0;
    this.after.disabled = at >= this.views.length - 1;
    this.scale.textContent = `${Math.round(100 * this.large.camera.scale)} %`;
  }

  key(event) {
    const { large } = this;
    if (!large || event.altKey || event.ctrlKey || event.metaKey) return;
    const zoomed = large.camera.scale > 1;
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const way = ways[event.key];
    if (event.key === "Escape") this.shrink();
    else if (event.key === "+" || event.key === "=") this.zoom(CLOSER);
    else if (event.key === "-") this.zoom(1 / CLOSER);
    else if (event.key === "0") large.camera.fit();
    else if (way && zoomed) large.camera.move(STEP * way[0], STEP * way[1]);
    else if (way && way[0]) this.step(way[0]);
    else return;
    event.preventDefault();
  }
}
