// The segments by name and colour: a list to edit, and a small sheet where a picture was clicked.
import { card, h, newId, percent } from "../shared/dom.js";

const hex = (colour) => `#${colour.map((c) => c.toString(16).padStart(2, "0")).join("")}`;
const rgb = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
export const LONGEST_NAME = 80;

/** Fields for one segment; change(id, {name} or {colour}) while they are edited. */
function fields(id, name, colour, change) {
  const swatch = h("input", { type: "color", value: hex(colour), "aria-label": `Colour of ${name}`, oninput: () => change(id, { colour: rgb(swatch.value) }) });
  const text = h("input", { type: "text", value: name, maxlength: String(LONGEST_NAME), "aria-label": "Name", spellcheck: "false", autocomplete: "off", oninput: () => change(id, { name: text.value }) });
  return { swatch, text };
}

export class SegmentLegend {
  /** on: {change(id, changes), focus(id or null)}. */
  constructor(on) {
    this.on = on;
    this.list = h("ul", { class: "segments" });
    this.absent = h("p", { class: "help" });
    const { card: element, body } = card("Segments", { class: "card segment-legend" });
    body.append(
      h("p", { class: "help" }, "Click a segment, here or in an image, to name and recolour it in every image. Segments with the same name become one class when you download them."),
      this.list,
      this.absent,
    );
    this.element = element;
    this.editor = new Editor(on);
  }

  /** Show the segments that occur, the largest first. */
  show(names, colours, shares) {
    this.rows = new Map();
    const order = shares.map((share, id) => [share, id]).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
    const present = order.filter(([share]) => share > 0);
    this.list.replaceChildren(
      ...present.map(([share, id]) => {
        const { swatch, text } = fields(id, names[id], colours[id], (which, changes) => this.on.change(which, changes));
        const row = h(
          "li",
          {
            dataset: { segment: String(id) },
            onpointerenter: () => this.on.focus(id),
            onpointerleave: () => this.on.focus(null),
            onfocusin: () => this.on.focus(id),
            onfocusout: () => this.on.focus(null),
          },
          swatch,
          text,
          h("span", { class: "share" }, percent(share)),
        );
        this.rows.set(id, { row, swatch, text });
        return row;
      }),
    );
    const missing = order.length - present.length;
    this.absent.textContent = missing ? `${missing === 1 ? "One other does" : `${missing} others do`} not appear in these images.` : "";
  }

  /** After a change that was made elsewhere. */
  update(id, name, colour) {
    const found = this.rows?.get(id);
    if (!found) return;
    if (document.activeElement !== found.text) found.text.value = name;
    found.swatch.value = hex(colour);
    found.swatch.setAttribute("aria-label", `Colour of ${name}`);
  }

  mark(id) {
    for (const [other, { row }] of this.rows ?? []) row.classList.toggle("marked", other === id);
  }
}

/** The sheet beside the pointer. */
class Editor {
  constructor(on) {
    this.on = on;
    this.id = null;
    this.title = h("h3", {});
    this.body = h("div", { class: "inline" });
    const close = h("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: () => this.close() }, "✕");
    this.element = h("div", { class: "segment-editor", role: "dialog", "aria-labelledby": newId("editor"), hidden: true }, h("div", { class: "row" }, this.title, close), this.body);
    this.title.id = this.element.getAttribute("aria-labelledby");
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" && event.key !== "Enter") return;
      this.close();
      this.from?.focus({ preventScroll: true }); // the keyboard goes on where it came from
    });
    document.addEventListener("pointerdown", (event) => {
      if (!this.element.hidden && !this.element.contains(event.target) && event.target.tagName !== "CANVAS") this.close();
    });
  }

  open(id, usual, name, colour, share, event) {
    this.id = id;
    this.from = event.target;
    const { swatch, text } = fields(id, name, colour, (which, changes) => this.on.change(which, changes));
    this.title.textContent = `${usual}, ${percent(share)} of all pixels`;
    this.body.replaceChildren(swatch, text);
    this.element.hidden = false;
    const { offsetWidth: width, offsetHeight: height } = this.element;
    const x = Math.min(event.clientX + 10, window.innerWidth - width - 8);
    const y = event.clientY + 14 + height > window.innerHeight ? event.clientY - height - 10 : event.clientY + 14;
    this.element.style.left = `${Math.max(8, x)}px`;
    this.element.style.top = `${Math.max(8, y)}px`;
    text.focus({ preventScroll: true });
    text.select();
  }

  close() {
    this.element.hidden = true;
    this.id = null;
    this.on.focus(null);
  }
}
