// The images of one report or of several: a list in any order, and every image as pictures.
import { call } from "../shared/client.js";
import { card, choice, count, h, newId, select } from "../shared/dom.js";
import { NONE, loadPhoto } from "../shared/label-view.js";
import { Camera } from "../shared/camera.js";
import { readMaps, wiped } from "./layers.js";
import { ImageList } from "./list.js";
import { Pictures } from "./pictures.js";
import { ORDERS, ranked } from "./ranking.js";
import { REFINEMENTS } from "./report.js";
import { OUTSIDE, PARTS, asked, classOf, fromText, inWords, toText } from "./singled.js";

const KINDS = [["cluster", "Clusters"], ["linear", "Linear probe"]];
const ANY = "";
const ZOOM = 1.5;

export class ImageBrowser {
  /**
   * shown: the open report, and others that were made on the same images; wanted: texts as `view()`
   * gave them, what makes no sense is as usual; looked(): after each change; singledOut(what, kind
   * of prediction): something else is singled out, or nothing.
   */
  constructor(server, shown, { wanted = {}, looked = () => {}, singledOut = () => {} } = {}) {
    Object.assign(this, { server, shown, looked, singledOut, counted: new Map() });
    const { report } = shown[0];
    const among = (options, value) => (options.some(([key]) => key === value) ? value : options[0][0]);
    this.classes = report.classes;
    const kinds = KINDS.filter(([kind]) => shown.every((one) => one.report[kind])); // files of others may have no classes
    this.refinements = [["none", "None"], ...Object.entries(REFINEMENTS).filter(([name]) => shown.some((one) => one.report[name]))];
    this.look = { kind: among(kinds, wanted.kind), refine: among(this.refinements, wanted.refined), share: 1, opacity: 0.65, whole: wanted.whole !== "no", versus: false };
    this.singled = fromText(wanted.only, this.classes.length, shown.length);
    this.filter = this.classes[wanted.class] === undefined ? ANY : wanted.class;
    this.camera = new Camera(() => this.pictures.draw());
    this.pictures = new Pictures(this);
    this.list = new ImageList({ open: (index) => this.open(index), picture: (index) => `studio/report/thumbnail?key=${encodeURIComponent(shown[0].key)}&index=${index}` });
    this.build(kinds, among(ORDERS, wanted.order));
    const images = report.images;
    this.index = (images.find((one) => String(one.index) === wanted.image) ?? images[0]).index;
    this.begin(Boolean(wanted.image));
  }

  async begin(keep) {
    if (this.singled || this.filter !== ANY) {
      this.open(this.index); // the counts may take a moment
      await this.count();
      if (!keep && this.rows.length && !this.rows.some((one) => one.index === this.index)) this.open(this.rows[0].index);
    } else {
      this.rank();
      this.open(keep ? this.index : this.rows[0].index);
    }
  }

  // --- the card

  build(kinds, order) {
    const { report } = this.shown[0];
    this.order = select("Order", ORDERS, order, () => this.sort());
    const filters = [[ANY, "Any class"], ...this.classes.map((name, id) => [String(id), name])];
    this.within = select("Class", filters, this.filter, (id) => this.setFilter(id), "Only images with this class in the ground truth or the prediction");
    this.name = h("input", { type: "search", placeholder: "Name", "aria-label": "Part of the image's name", autocomplete: "off", spellcheck: "false", oninput: () => this.rank(true) });
    this.kind = choice("Prediction", kinds, this.look.kind, (kind) => this.change({ kind }));
    this.refine = choice("Refinement", this.refinements, this.look.refine, (refine) => this.change({ refine, share: 1 }));
    this.refine.group.hidden = this.refinements.length < 2;
    this.share = range("Refined", 1, 0.01, (share) => this.change({ share }), "Left of this line: refined");
    this.opacity = range("Opacity", this.look.opacity, 0.05, (opacity) => this.change({ opacity }));
    this.wholeBox = toggle("Whole image", this.look.whole, "Show the whole image with the evaluated square, or only the square", (whole) => this.change({ whole }));
    this.versus = toggle("Who is right", false, `Show where one is right and the other wrong, compared with ${this.shown[0].title}`, (versus) => this.change({ versus }));
    this.versus.hidden = this.shown.length < 2;
    for (const { field } of [this.order, this.within]) field.classList.add("row");
    this.chip = h("div", { class: "singled", role: "status", hidden: true });
    this.told = h("p", { class: "help", hidden: true });
    this.number = h("p", { class: "help", "aria-live": "polite" });
    this.readout = h("p", { class: "readout", role: "status" });
    this.problem = h("p", { class: "field-error", role: "alert", hidden: true });
    const small = (text, label, act) => h("button", { type: "button", title: label, "aria-label": label, onclick: act }, text);
    const steps = h("div", { class: "zoom" }, small("‹", "Previous image", () => this.step(-1)), small("›", "Next image", () => this.step(1)));
    const zoom = h("div", { class: "zoom" }, small("−", "Zoom out", () => this.camera.zoom(1 / ZOOM)), small("⤢", "Fit", () => this.camera.fit()), small("+", "Zoom in", () => this.camera.zoom(ZOOM)));
    const { card: element, body } = card("Images", { class: "card images", dataset: { ready: "false" } });
    body.append(
      h("div", { class: "tools" }, this.kind.group, this.refine.group, this.share.element, this.opacity.element, this.wholeBox, this.versus, h("span", { class: "end" }, zoom, steps)),
      this.chip,
      this.told,
      h("div", { class: "image-browser" }, h("div", { class: "image-side" }, this.order.field, h("div", { class: "pair" }, this.within.field, this.name), this.number, this.list.element), h("div", { class: "image-view" }, this.problem, this.pictures.element, this.pictures.legend, this.readout)),
    );
    this.element = element;
    this.colours = report.colours;
    this.showOptions();
  }

  /** What can be chosen, as things stand. */
  showOptions() {
    const can = { iou: this.filter !== ANY || (this.singled && "id" in this.singled), pixels: Boolean(this.singled), difference: this.shown.length > 1 };
    for (const option of this.order.input.options) {
      option.disabled = can[option.value] === false;
      option.hidden = option.value === "difference" && !can.difference;
    }
    if (this.order.input.selectedOptions[0]?.disabled) this.order.input.value = "worst";
    this.share.element.hidden = this.look.refine === "none";
    this.wholeBox.hidden = this.found ? this.found.every(({ square, width, height }) => this.look.whole && square.size === width && square.size === height) : false;
  }

  /** What is looked at, for a link; empty where it is as usual. */
  view() {
    const { order, look } = this;
    const unless = (usual, value) => (value === usual ? "" : value);
    return {
      image: this.index,
      kind: unless("cluster", look.kind),
      order: unless("worst", order.input.value),
      refined: unless("none", look.refine),
      only: toText(this.singled),
      class: this.filter,
      whole: look.whole ? "" : "no",
    };
  }

  // --- which images

  /** The prediction that is looked at, as counts and label maps call it; of one of the reports. */
  nameOf(i) {
    const { kind, refine } = this.look;
    return refine !== "none" && this.shown[i].report[refine] ? `${kind}_${refine}` : kind;
  }

  sort() {
    this.rank();
    if (this.order.input.value !== "order" && this.rows.length) this.open(this.rows[0].index);
    else this.looked();
  }

  /** List the images in their order; open the first where the open one is no longer among them. */
  rank(move = false) {
    const numbers = (what) => (what ? (this.counted.get(this.keyOf(what)) ?? null) : null);
    this.rows = ranked(this.shown, this.look, { order: this.order.input.value, name: this.name.value, singled: numbers(this.singled), filter: numbers(this.filtering()) });
    this.list.set(this.rows, this.index);
    const all = this.shown[0].report.images.length;
    this.number.textContent = this.rows.length === all ? `${count(all)} images` : `${count(this.rows.length)} of ${count(all)} images`;
    if (move && this.rows.length && !this.rows.some((one) => one.index === this.index)) this.open(this.rows[0].index);
  }

  filtering() {
    return this.filter === ANY ? null : { ...classOf(Number(this.filter)), of: 0 };
  }

  keyOf(what) {
    return JSON.stringify([this.shown[what.of].key, this.nameOf(what.of), asked(what)]);
  }

  /** Ask for the numbers that list and order need, and list anew. */
  async count() {
    const mine = (this.counting = (this.counting ?? 0) + 1);
    this.told.hidden = true;
    for (const what of [this.singled, this.filtering()].filter(Boolean)) {
      const key = this.keyOf(what);
      if (this.counted.has(key)) continue;
      try {
        const found = await call(this.server, "pixels", { report: this.shown[what.of].key, kind: this.nameOf(what.of), ...asked(what) });
        this.counted.set(key, found);
      } catch (error) {
        if (mine !== this.counting) return;
        this.told.textContent = error.message;
        this.told.hidden = false;
      }
    }
    if (mine !== this.counting) return;
    this.showChip();
    this.rank();
    this.element.dataset.counted = toText(this.singled);
  }

  async setFilter(id) {
    this.filter = id;
    this.showOptions();
    await this.count();
    this.rank(true);
    this.looked();
  }

  /** Single out pixels, or null for all again; kind: the prediction they are of, such as linear_crf. */
  async single(what, kind = null) {
    const before = this.singled;
    this.singled = what;
    if (kind) {
      const [probe, refine = "none"] = kind.split("_");
      Object.assign(this.look, { kind: probe, refine, share: 1 });
      this.kind.set(probe);
      this.refine.set(refine);
      this.share.set(1);
    }
    this.showOptions();
    if (what && !before) this.orderBefore = this.order.input.value;
    this.order.input.value = what ? "pixels" : (this.orderBefore ?? "worst");
    this.showOptions();
    this.showChip();
    this.singledOut(what, this.nameOf(what?.of ?? 0));
    await this.count();
    if (this.singled !== what) return;
    if (what && this.rows.length && this.counted.has(this.keyOf(what))) this.open(this.rows[0].index);
    else this.open(this.index);
  }

  showChip() {
    const what = this.singled;
    this.chip.hidden = !what;
    if (!what) return this.chip.replaceChildren();
    const found = this.counted.get(this.keyOf(what));
    const images = found?.pixels.filter(Boolean).length;
    const numbers = found ? `${count(found.total)} pixel${found.total === 1 ? "" : "s"} in ${count(images)} image${images === 1 ? "" : "s"}` : "";
    const whose = this.shown.length > 1 ? `, ${this.shown[what.of].title}` : "";
    const parts = "id" in what ? choice("Which pixels", PARTS, what.part, (part) => this.single({ ...what, part })).group : null;
    const away = h("button", { type: "button", class: "quiet", "aria-label": "Show all pixels again", title: "Show all pixels again", onclick: () => this.single(null) }, "✕");
    this.chip.replaceChildren(h("span", { class: "chip" }, h("i"), h("span", { class: "what" }, `${inWords(what, this.classes)}${whose}`), away), ...[parts].filter(Boolean), h("span", { class: "help" }, numbers));
  }

  step(by) {
    const next = this.list.beside(by);
    if (next !== undefined && next !== this.index) this.open(next);
  }

  // --- one image

  change(changes) {
    const before = { ...this.look };
    Object.assign(this.look, changes);
    const { kind, refine, whole, opacity, versus } = this.look;
    if ("share" in changes) this.share.set(changes.share);
    if ("opacity" in changes) this.opacity.set(opacity);
    this.showOptions();
    if (kind !== before.kind || refine !== before.refine) {
      this.singledOut(this.singled, this.nameOf(this.singled?.of ?? 0));
      this.count();
    }
    this.looked();
    const missing = refine !== "none" && !this.found?.every((one, i) => one.maps[this.nameOf(i)]);
    if (whole !== before.whole || missing) this.open(this.index);
    else if (opacity !== before.opacity && versus === before.versus) this.pictures.fade();
    else this.pictures.paint();
  }

  async open(index) {
    const other = index !== this.index;
    this.index = index;
    this.looked();
    const mine = (this.turn = (this.turn ?? 0) + 1);
    this.list.choose(index);
    const { refine, whole } = this.look;
    this.element.dataset.ready = "false";
    this.pictures.wait(true);
    try {
      const found = [];
      for (const [i, { key, report }] of this.shown.entries()) {
        const held = !other && this.found?.[i]?.index === index && this.found[i].asked === `${refine} ${whole}`;
        if (held) {
          found.push(this.found[i]);
          continue;
        }
        const reply = await call(this.server, "image", { report: key, index, refine: report[refine] ? refine : "none", whole });
        if (mine !== this.turn) return;
        const { width, height, square } = reply;
        found.push({ index, asked: `${refine} ${whole}`, width, height, square, maps: await readMaps(reply), photo: await loadPhoto(reply.photo) });
      }
      if (mine !== this.turn) return;
      this.found = found;
      this.problem.hidden = true;
      if (other) this.camera.fit(false);
      this.showOptions();
      this.pictures.paint();
      Object.assign(this.element.dataset, { ready: "true", index: String(index), only: toText(this.singled), shows: this.nameOf(0) });
    } catch (error) {
      if (mine !== this.turn) return;
      this.problem.textContent = error.message;
      this.problem.hidden = false;
    }
    this.pictures.wait(false);
  }

  /** The label map of a report that is looked at: refined to the left of the slider. */
  mapOf(i) {
    const { maps, width } = this.found[i];
    const [plain, name] = [maps[this.look.kind], this.nameOf(i)];
    const refined = maps[name];
    return refined && name !== this.look.kind ? wiped(refined, plain, width, Math.round(this.look.share * width)) : plain;
  }

  /** Say what truth and every report call the place under the pointer, in shares of the image. */
  hover(place) {
    if (!place || !this.found) {
      this.readout.textContent = "";
      return;
    }
    const called = (id) => (id === NONE ? "no class" : this.classes[id]);
    const said = this.found.map((one, i) => {
      const at = Math.floor(place[1] * one.height) * one.width + Math.floor(place[0] * one.width);
      const id = this.pictures.maps[i][at];
      const truth = i === 0 ? `truth: ${called(one.maps.truth[at])}   ` : "";
      return `${truth}${this.shown.length > 1 ? this.shown[i].title : "predicted"}: ${id === OUTSIDE ? "not evaluated" : called(id)}`;
    });
    this.readout.textContent = said.join("   ");
  }
}

/** A slider from 0 to 1 with its label; {element, set}. */
function range(label, value, step, onchange, title) {
  const id = newId("range");
  const input = h("input", { id, type: "range", min: "0", max: "1", step: String(step), value: String(value), title, oninput: () => onchange(Number(input.value)) });
  const set = (share) => {
    input.value = String(share);
    input.style.setProperty("--share", `${100 * share}%`);
  };
  set(value);
  return { element: h("div", { class: "opacity" }, h("label", { for: id }, label), input), set };
}

function toggle(text, on, title, onchange) {
  const button = h("button", { type: "button", class: "toggle", "aria-pressed": String(on), title, onclick: () => {
    const now = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(now));
    onchange(now);
  } }, text);
  return button;
}
