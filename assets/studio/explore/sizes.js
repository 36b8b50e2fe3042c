// How much of each image is looked at, and at which resolution; what that costs is said before it
// is taken.
import { call, latestOnly } from "../shared/client.js";
import { choice, h, newId } from "../shared/dom.js";
import { FieldErrors } from "../shared/fields.js";

const OTHER = "other";
const PICTURES = [
  ["square", "Central square", "The central square of each image, as in the paper's evaluation"],
  ["whole", "Whole image", "Each image in its own aspect ratio, with about as many pixels as a square of this resolution"],
];
const CHECK_AFTER_MS = 150;

export class SizeChooser {
  /** on: {change({size} or {picture})}; said with what is shown: set(request), priceFor(request, images). */
  constructor(server, config, on) {
    this.server = server;
    this.config = config;
    this.on = on;
    this.costs = new Map();
    this.wondering = null; // the number whose cost is asked for while it is typed
    this.fields = new FieldErrors();
    this.ask = latestOnly(() => this.price());
    this.picture = choice("Image area", PICTURES, "square", (picture) => on.change({ picture }));
    this.small = new Map(config.sizes.map((size) => [size, h("small", {})]));
    const options = config.sizes.map((size) => [size, [String(size), this.small.get(size)]]);
    this.size = choice("Resolution", [...options, [OTHER, ["Other", h("small", {}, "px")]]], 448, (size) => this.choose(size));
    for (const button of this.size.group.children) this.prepare(button);
    const id = newId("size");
    const [least, most] = config.size_range;
    this.number = h("input", { id, type: "number", min: String(least), max: String(most), step: "1", inputmode: "numeric", oninput: () => this.typed() });
    this.form = h(
      "form",
      { class: "field own-size", novalidate: true, hidden: true, onsubmit: (event) => this.use(event) },
      h("label", { for: id }, `Pixels, ${least} to ${most}`),
      h("div", { class: "inline" }, this.number, h("button", { type: "submit" }, "Use")),
    );
    this.told = h("p", { class: "help cost", dataset: { part: "cost" }, "aria-live": "polite" });
    const label = (text) => h("span", { class: "label", "aria-hidden": "true" }, text);
    this.element = h(
      "div",
      { class: "sizes" },
      h("div", { class: "field" }, label("Image area"), this.picture.group),
      h("div", { class: "field" }, label("Resolution"), this.size.group, this.form, this.fields.add("size", this.number), this.told),
    );
  }

  /** A button tells what it costs while it is looked at. */
  prepare(button) {
    const size = Number(button.dataset.value);
    if (size) button.setAttribute("aria-label", `${size} px`);
    for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => this.tell(size || null));
    for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => this.tell(null));
  }

  /** Show what is on screen. */
  set(request) {
    this.request = request;
    const listed = this.config.sizes.includes(request.size);
    this.picture.set(request.picture ?? "square");
    this.size.set(listed ? request.size : OTHER);
    this.form.hidden = listed;
    this.number.value = listed ? "" : String(request.size);
    this.fields.show({});
    this.fields.reset();
    this.tell(null);
  }

  choose(size) {
    if (size === OTHER) {
      this.form.hidden = false;
      this.number.focus();
      return;
    }
    const refused = this.costs.get(size)?.refused;
    if (!refused) {
      this.on.change({ size });
      return;
    }
    this.set(this.request);
    this.wondering = null;
    this.fields.refuse({ field: "size", message: refused });
  }

  use(event) {
    event.preventDefault();
    clearTimeout(this.checking);
    this.wondering = null;
    this.fields.touch("size");
    this.on.change({ size: Number(this.number.value) });
  }

  typed() {
    clearTimeout(this.checking);
    this.checking = setTimeout(() => {
      this.wondering = this.number.value;
      this.ask();
    }, CHECK_AFTER_MS);
  }

  /** Ask for the costs of this request, with so many images. */
  priceFor(request, images) {
    this.priced = { ...request, images };
    return this.ask();
  }

  async price() {
    if (!this.priced) return;
    const own = Number(this.number.value);
    const [least, most] = this.config.size_range;
    const typed = !this.form.hidden && Number.isInteger(own) && own >= least && own <= most;
    const { priced } = this;
    const { size: _, files: __, like: ___, ...wanted } = priced;
    let reply;
    try {
      reply = await call(this.server, "cost", { ...wanted, sizes: typed ? [...this.config.sizes, own] : this.config.sizes });
    } catch {
      this.costs.clear();
      return; // loading will say what is in the way
    }
    if (priced !== this.priced) return;
    this.costs = new Map(reply.costs.map((cost, i) => [this.config.sizes[i] ?? "typed", cost]));
    for (const [size, small] of this.small) this.show(size, small);
    // An answer to what was typed before must not hide what has been said since.
    const awaited = this.wondering !== null && this.wondering === this.number.value;
    if (!this.form.hidden && awaited) this.fields.show(typed ? { size: this.costs.get("typed").refused } : {});
    this.tell(null);
  }

  show(size, small) {
    const cost = this.costs.get(size);
    const button = small.closest("button");
    small.textContent = cost.refused ? "–" : cost.short;
    button.setAttribute("aria-disabled", String(Boolean(cost.refused)));
    button.setAttribute("aria-description", cost.refused || cost.text);
  }

  /** Say what a size costs; null for what was typed, or for the one on screen. */
  tell(size) {
    const typed = size === null && !this.form.hidden;
    const asked = size ?? (typed ? Number(this.number.value) : this.request.size);
    const cost = this.costs.get(typed ? "typed" : asked);
    const rounded = cost && cost.size !== asked ? ` (rounded to ${cost.size} px, so that patches fit)` : "";
    this.told.textContent = !cost ? "" : cost.refused || `${asked} px${rounded}: ${cost.text}.`;
  }
}
