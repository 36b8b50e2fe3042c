// The images of a report as a list that stays quick with thousands: only what is in sight is there.
import { h, newId } from "../shared/dom.js";

const ROW = 42; // pixels, as page.css has it
const SPARE = 6; // rows kept beyond each end

export class ImageList {
  /** on: {open(index), picture(index) → the address of its thumbnail}. */
  constructor(on) {
    this.on = on;
    this.id = newId("image");
    this.rows = [];
    this.inner = h("div", { class: "rows", role: "presentation" });
    this.element = h("div", { class: "image-list", role: "listbox", tabindex: "0", "aria-label": "Images", onscroll: () => this.draw(), onkeydown: (event) => this.key(event) }, this.inner);
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  /** rows: [{index, name, value}] in their order. */
  set(rows, current) {
    this.rows = rows;
    this.inner.style.height = `${rows.length * ROW}px`;
    this.inner.replaceChildren();
    this.choose(current);
  }

  /** Mark an image and bring it into sight. */
  choose(index) {
    this.current = index;
    const at = this.at();
    const top = at * ROW;
    const { scrollTop, clientHeight } = this.element;
    if (at >= 0 && (top < scrollTop || top + ROW > scrollTop + clientHeight)) this.element.scrollTop = Math.max(0, top - ROW);
    this.draw();
  }

  at() {
    return this.rows.findIndex((one) => one.index === this.current);
  }

  /** The image so many rows further, or the last on the way. */
  beside(by) {
    const at = Math.max(0, Math.min(this.rows.length - 1, this.at() + by));
    return this.rows[at]?.index;
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW) - 1);
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.rows.length, End: this.rows.length }[event.key];
    if (!by) return;
    event.preventDefault();
    const next = this.beside(by);
    if (next !== undefined && next !== this.current) this.on.open(next);
  }

  draw() {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / ROW) - SPARE);
    const last = Math.min(this.rows.length, Math.ceil((scrollTop + clientHeight) / ROW) + SPARE);
    const there = new Map([...this.inner.children].map((row) => [Number(row.dataset.at), row]));
    for (const [at, row] of there) if (at < first || at >= last) row.remove();
    for (let at = first; at < last; at++) if (!there.has(at)) this.inner.append(this.row(at));
    for (const row of this.inner.children) row.setAttribute("aria-selected", String(Number(row.dataset.index) === this.current));
    const at = this.at();
    this.element.setAttribute("aria-activedescendant", at < 0 ? "" : `${this.id}-${at}`);
  }

  row(at) {
    const { index, name, value } = this.rows[at];
    const picture = h("img", { alt: "", decoding: "async", src: this.on.picture(index), onerror: () => (picture.style.visibility = "hidden") });
    const row = h(
      "div",
      { id: `${this.id}-${at}`, class: "image-row", role: "option", "aria-setsize": String(this.rows.length), "aria-posinset": String(at + 1), title: name, dataset: { at: String(at), index: String(index) }, onclick: () => this.on.open(index) },
      h("span", { class: "thumbnail" }, picture),
      h("span", { class: "name" }, name),
      h("b", {}, value),
    );
    row.style.top = `${at * ROW}px`;
    return row;
  }
}
