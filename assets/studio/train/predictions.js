// What runs predicted as they learnt: one or several on the same images, under one slider of steps.
import { call } from "../shared/client.js";
import { card, choice, count, h } from "../shared/dom.js";
import { SAMPLE } from "../shared/sample.js";
import { LAYERS, PredictionTable, lastOf } from "./prediction-table.js";

const MOST = 12; // runs beside each other
const AGAIN_MS = 4000; // a validation may end without a word in the list of runs
const titleOf = (name) => (name === SAMPLE ? "Sample run" : name);

const WHEN = "They are made at each validation (validate_every), which needs images with label maps.";
const SEGMENT = "The Segment page shows a run's clusters on any images.";

export class Predictions {
  /** hooks: {looked()}. */
  constructor(server, hooks) {
    Object.assign(this, { server, hooks });
    this.runs = []; // as the server told them
    this.shown = []; // of those, whose pictures are shown
    this.steps = [];
    this.colours = new Map();
    this.layer = "clusters";
    this.opacity = 1;
    this.hidden = new Set(); // images, by index
    this.only = ""; // the class that alone is shown
    this.follows = true;
    this.wanted = undefined; // the step of a link, until pictures are there
    this.table = new PredictionTable();
    this.build();
  }

  build() {
    const range = (label, part, more, act) => h("input", { type: "range", step: "1", min: "0", "aria-label": label, dataset: { part }, ...more, oninput: act });
    this.slider = range("Validation", "time", { max: "0", value: "0" }, () => {
      this.follows = Number(this.slider.value) === this.steps.length - 1;
      this.wanted = undefined;
      this.looked();
    });
    this.when = h("output", {});
    this.overTime = h("div", { class: "over-time" }, this.slider, this.when);
    this.overlay = range("Opacity over the image", "overlay", { max: "100", step: "5", value: "100" }, () => {
      this.opacity = Number(this.overlay.value) / 100;
      this.looked();
    });
    this.strength = h("output", {});
    this.layers = choice("Layer", LAYERS, this.layer, (layer) => {
      this.layer = layer;
      this.looked();
    });
    this.images = h("div", { class: "legend", role: "group", "aria-label": "Images" });
    this.classes = h("div", { class: "legend class-legend", role: "group", "aria-label": "Classes" });
    this.said = h("p", { class: "help", role: "status", hidden: true });
    const { card: element, body } = card("Predictions", { class: "card predictions", hidden: true });
    this.tools = h("div", { class: "prediction-tools" }, this.layers.group, h("label", { class: "overlay" }, "Opacity ", this.overlay, this.strength), this.images);
    body.append(this.overTime, this.tools, this.said, this.table.element, this.classes);
    this.element = element;
  }

  looked() {
    this.show();
    this.hooks.looked();
  }

  // --- what there is

  /** Another run was opened by hand: its newest pictures are looked at. */
  follow() {
    this.wanted = undefined;
    this.follows = true;
  }

  /**
   * Ask what there is, where anything may have changed.
   *
   * drawn: runs with their colours, the one that is open first; marks: changes as they go on;
   * active: whether any of them goes on.
   */
  async refresh(drawn, marks, active) {
    this.colours = new Map(drawn.map(({ name, colour }) => [name, colour]));
    const names = drawn.map(({ name }) => name);
    const key = JSON.stringify([names, marks]);
    const due = active && performance.now() - this.asked > AGAIN_MS;
    if (this.asking || (key === this.key && !due)) return;
    this.asking = true;
    try {
      const { runs } = await call(this.server, "predictions", names.slice(0, MOST));
      this.key = key;
      this.asked = performance.now();
      this.left = names.length - MOST;
      this.active = active;
      this.take(runs.map((run) => ({ ...run, title: titleOf(run.name) })));
    } catch {
      this.key = null; // what is shown stays; the next look asks again
    } finally {
      this.asking = false;
    }
  }

  take(runs) {
    this.runs = runs;
    const pictured = runs.filter(({ steps, images }) => steps.length && images.length);
    const [lead] = pictured;
    this.shown = pictured.filter((run) => run.data === lead.data && String(run.classes) === String(lead.classes));
    this.element.hidden = runs.length === 0;
    for (const part of [this.overTime, this.tools, this.table.element, this.classes]) part.hidden = !lead;
    if (!lead) return this.explain(runs, []);
    this.steps = [...new Set(this.shown.flatMap(({ steps }) => steps))].sort((a, b) => a - b);
    const before = this.at;
    this.slider.max = String(this.steps.length - 1);
    this.goTo(before);
    this.explain(runs, pictured);
    this.show();
  }

  /** Say of which runs there is nothing to see, and why. */
  explain(runs, pictured) {
    const list = (some) => some.map(({ title }) => title).join(", ");
    const waiting = runs.filter((run) => !pictured.includes(run));
    const other = pictured.filter((run) => !this.shown.includes(run));
    const said = [];
    if (waiting.length) said.push(`${pictured.length ? `${list(waiting)}: no` : "No"} predictions${this.active ? " yet" : ""}. ${WHEN}`);
    if (!pictured.length && !this.active) said.push(SEGMENT);
    if (other.length) said.push(`${list(other)}: other images or classes than ${this.shown[0].title}.`);
    if (this.left > 0) said.push(`Only the first ${MOST} runs are shown here.`);
    this.said.textContent = said.join(" ");
    this.said.hidden = !said.length;
  }

  // --- what is looked at

  /** The step for a link; empty for the newest. */
  get at() {
    if (this.wanted !== undefined) return this.wanted;
    return this.follows ? "" : String(this.steps[Number(this.slider.value)] ?? "");
  }

  /** Look at a step, as `at` tells it, or the last validation before; an odd one is the newest. */
  goTo(at) {
    const step = at === "" || at === undefined ? undefined : lastOf(this.steps, Number(at));
    const place = step === undefined ? this.steps.length - 1 : this.steps.indexOf(step);
    this.wanted = undefined;
    this.follows = place === this.steps.length - 1;
    this.slider.value = String(place);
  }

  view() {
    return {
      at: this.at,
      layer: this.layer === "clusters" ? "" : this.layer,
      overlay: this.opacity === 1 ? "" : String(Math.round(100 * this.opacity)),
      without: [...this.hidden].join(","),
      class: this.only,
    };
  }

  /** Look at them as a link says; returns the names that make no sense. */
  restore({ at, layer = "clusters", overlay = "100", without = "", class: only = "" }) {
    const odd = [];
    const take = (name, fine, act) => (fine ? act() : odd.push(name));
    this.wanted = at;
    take("layer", LAYERS.some(([name]) => name === layer), () => {
      this.layer = layer;
      this.layers.set(layer);
    });
    take("overlay", Number(overlay) >= 0 && Number(overlay) <= 100, () => {
      this.opacity = Number(overlay) / 100;
      this.overlay.value = overlay;
    });
    take("without", /^[\d,]*$/.test(without), () => (this.hidden = new Set(without.split(",").filter(Boolean).map(Number))));
    this.only = only;
    if (this.steps.length) this.goTo(at);
    this.show();
    return odd;
  }

  show() {
    const { shown, steps } = this;
    if (!shown.length) return;
    const [lead] = shown;
    const place = Number(this.slider.value);
    const at = steps[place];
    this.overTime.hidden = steps.length < 2;
    this.slider.style.setProperty("--share", `${(100 * place) / Math.max(1, steps.length - 1)}%`);
    this.slider.setAttribute("aria-valuetext", `step ${count(at)}`);
    this.when.textContent = `step ${count(at)}`;
    this.overlay.style.setProperty("--share", `${100 * this.opacity}%`);
    this.strength.textContent = `${Math.round(100 * this.opacity)} %`;
    this.layers.group.hidden = shown.length < 2;
    if (lead.classes.length && !lead.classes.includes(this.only)) this.only = "";
    const images = lead.images.filter((image) => !this.hidden.has(image));
    const kept = images.length ? images : lead.images.slice(0, 1);
    this.showImages(lead, kept);
    this.showClasses(lead);
    const chosen = lead.classes.indexOf(this.only);
    this.table.build(shown, kept, this.layer, this.colours);
    this.table.paint({ at, opacity: this.opacity, only: chosen < 0 ? null : [lead.colours[chosen]] });
  }

  /** Chips that leave images out; the last one stays. */
  showImages({ images, names }, kept) {
    this.images.hidden = images.length < 2;
    const titles = images.map((image) => names[image] ?? `Image ${image}`);
    chips(this.images, titles, images.map((image) => kept.includes(image)), (i) => {
      const image = images[i];
      if (kept.includes(image) && kept.length === 1) return;
      this.hidden = new Set(images.filter((one) => (one === image ? kept.includes(one) : !kept.includes(one))));
      this.looked();
    }, "Show or hide this image");
  }

  /** The classes in their colours; a click shows one alone, another click all of them. */
  showClasses({ classes, colours, none }) {
    this.classes.hidden = !classes.length;
    this.classes.toggleAttribute("data-only", Boolean(this.only));
    const shown = classes.map((name) => !this.only || name === this.only);
    chips(this.classes, classes, shown, (i) => {
      this.only = this.only === classes[i] ? "" : classes[i];
      this.looked();
    }, "Show only this class, or all", [...colours, none]);
  }
}

/** Buttons that tell whether they are on; kept while they are the same, so that none loses the focus. */
function chips(element, titles, pressed, act, help, colours = []) {
  const key = JSON.stringify([titles, colours]);
  if (element.dataset.key !== key) {
    element.dataset.key = key;
    const swatch = (colour) => {
      if (!colour) return null;
      const found = h("i", { "aria-hidden": "true" });
      found.style.background = `rgb(${colour.join(",")})`;
      return found;
    };
    const buttons = titles.map((title, i) => h("button", { type: "button", class: "chip", title: help, onclick: () => element.act(i) }, swatch(colours[i]), h("span", {}, title)));
    const last = colours.length > titles.length ? [h("span", { class: "chip" }, swatch(colours.at(-1)), "no class")] : [];
    element.replaceChildren(...buttons, ...last);
  }
  element.act = act;
  pressed.forEach((on, i) => element.children[i].setAttribute("aria-pressed", String(on)));
}
