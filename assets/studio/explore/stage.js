// The mosaics of PPAP and of its rival side by side, with what is said about them in words.
import { cosine, unpackCodes } from "../shared/codec.js";
import { call, latestOnly } from "../shared/client.js";
import { count, fixed, h } from "../shared/dom.js";
import { Mosaic } from "./mosaic.js";
import { styleOf, whyNot } from "./styles/index.js";
import { patchCount, whereIs } from "./tiles.js";

const REST_MS = 60;
const NARROW = 760;

export class Stage {
  /**
   * state is the page's; on: {pick(patch, event), double(image), act: what styles may do, see styles/options.js}; compare is the rival's chooser, beside the second
   * features; toolbar stands above.
   */
  constructor(server, state, camera, toolbar, compare, beside, on) {
    this.server = server;
    this.state = state;
    this.compare = compare;
    this.beside = beside;
    this.act = on.act;
    const common = { camera, describedBy: toolbar.legendId, onPick: on.pick, onDouble: on.double, onHover: (patch) => this.hover(patch) };
    const make = (id, label, view) => new Mosaic({ ...common, id, label }, () => state, view);
    this.own = make("mosaic", "Images of the batch. Click a patch to make it the anchor; double-click an image to enlarge it.", () => state.view);
    this.rival = make("rival-mosaic", "The other rule's sets for the same anchor.", () => state.rivalView);
    this.second = beside.makeMosaic(common, (patch, second) => this.hover(patch, second));
    this.both = [this.own, this.rival, this.second];
    for (const mosaic of this.both) mosaic.element.mosaic = mosaic; // for tests and scripts
    this.askPreview = latestOnly((patch) => this.preview(patch));
    this.readout = h("p", { class: "readout", "aria-hidden": "true" });
    this.live = h("p", { class: "unseen", role: "status", "aria-live": "polite" });
    this.problem = h("p", { class: "messages error", role: "alert", hidden: true });
    this.classes = h("p", { class: "classes", hidden: true });
    this.rivalTitle = h("h3", {});
    this.ownTitle = h("h3", { hidden: true }, "PPAP");
    this.rivalPane = h("div", { class: "pane", hidden: true }, this.rivalTitle, this.rival.element, compare.numbers, compare.explanation, compare.error);
    this.panes = h("div", { class: "panes" }, h("div", { class: "pane" }, this.ownTitle, this.own.element, compare.ownNumbers), this.rivalPane, beside.pane.element);
    this.element = h("section", { class: "card stage", "aria-label": "Mosaic" }, toolbar.element, beside.choosing, this.classes, this.panes, this.readout, beside.table.element, this.problem, this.live);
    window.addEventListener("resize", () => this.resize());
    this.resize();
  }

  setBatch(batch, picture) {
    this.showLegend();
    for (const mosaic of [this.own, this.rival]) mosaic.setBatch(batch, picture);
  }

  /** Give the mosaics the height that the window leaves them. */
  resize() {
    const narrow = window.innerWidth < NARROW;
    const two = this.panes.classList.contains("two");
    const room = narrow ? window.innerHeight * 0.7 : Math.max(320, window.innerHeight - 420);
    for (const mosaic of this.both) {
      mosaic.maxHeight = two && !narrow ? Math.max(300, room - 40) : room;
      mosaic.layout();
    }
  }

  draw() {
    const rival = Boolean(this.compare.rule);
    const { beside } = this;
    this.rivalTitle.textContent = this.compare.rule?.title ?? "";
    const { first, second } = beside.titles();
    this.ownTitle.textContent = beside.shown ? first : "PPAP";
    beside.pane.title.textContent = second;
    const panes = rival ? "rival" : beside.shown ? "beside" : "one";
    if (this.panes.dataset.panes !== panes) {
      this.panes.dataset.panes = panes;
      this.rivalPane.hidden = this.compare.ownNumbers.hidden = !rival;
      beside.pane.element.hidden = !beside.shown;
      this.ownTitle.hidden = panes === "one";
      this.panes.classList.toggle("two", panes !== "one");
      this.resize();
    }
    beside.update();
    this.own.draw();
    if (rival) this.rival.draw();
    if (beside.shown) this.second.draw();
  }

  /** Draw with the next frame: the look or the selection changed. */
  invalidate() {
    for (const mosaic of this.both) mosaic.invalidate();
  }

  fail(text) {
    this.problem.textContent = text;
    this.problem.hidden = !text;
  }

  /** Tell in words what is shown, once things have been quiet for a moment. */
  announce() {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => {
      const { view, step, hovered } = this.state;
      if (!view) return;
      const { anchor } = view; // a newer one may have been clicked, whose sets are not there yet
      const numbers = view.steps[step];
      this.live.textContent =
        `Anchor: ${this.where(anchor)}. Step ${step} of ${view.steps.length - 1}: ` +
        `${numbers.positive} positive, ${numbers.ambiguous} ambiguous, ${numbers.negative} negative.${this.beside.words()}`;
      if (hovered === null) this.readout.textContent = `Anchor: ${this.where(anchor)}`;
    }, 250);
  }

  where(patch) {
    const { batch } = this.state;
    const [image, row, column] = whereIs(batch, patch);
    const label = batch.labels ? batch.labels[patch] : -1;
    return `${batch.names[image]}, row ${row}, column ${column}${label >= 0 ? `, ${batch.classes[label]}` : ""}`;
  }

  /** second: the patch of the second features, where they are what is hovered. */
  hover(patch, second = patch === null ? null : this.beside.toSecond(patch)) {
    const { state } = this;
    state.hovered = patch;
    clearTimeout(this.resting);
    for (const mosaic of this.both) mosaic.hover(mosaic === this.second ? second : patch);
    this.beside.maps.mark(patch, second);
    if (patch === null || !state.view) {
      this.readout.textContent = state.view ? `Anchor: ${this.where(state.anchor)}` : "";
      return;
    }
    const level = state.view.levels[Math.min(state.step, state.view.levels.length - 1)][patch];
    const style = styleOf(state.look.style);
    const more = whyNot(style, state.batch) ? "" : (style.says?.(state, patch) ?? "");
    this.readout.textContent = [this.where(patch), [`similarity to the proxy ${fixed(cosine(level), 2)}`, this.beside.says(second)].filter(Boolean).join(", "), ...(more ? [more] : [])].join(" · ");
    this.resting = setTimeout(() => this.askPreview(patch), REST_MS);
  }

  /** No preview of a patch that is being gathered. */
  forgetPreview() {
    clearTimeout(this.resting);
  }

  /** What a click here would gather first: the patches above Φ⁰, drawn as a dashed line. */
  async preview(patch) {
    const { state } = this;
    if (state.hovered !== patch) return;
    const { batch } = state;
    const { phi0 } = state.settings;
    let reply;
    try {
      reply = await call(this.server, "preview", { batch: batch.batch, anchor: patch, phi0 });
    } catch {
      return; // a preview that fails is no loss: the click says what is wrong
    }
    if (state.batch !== batch || state.hovered !== patch) return;
    const [codes] = unpackCodes(reply.codes, patchCount(batch), 1);
    this.beside.preview(patch);
    for (const mosaic of [this.own, this.rival]) {
      mosaic.preview = { patch, codes };
      mosaic.drawGlass();
    }
    this.own.element.dataset.preview = String(reply.count);
    this.readout.textContent += ` · as anchor: ${count(reply.count)} patches above Φ⁰`;
  }

  /** What the colours mean, where the chips above do not say it. */
  showLegend() {
    const { batch, look } = this.state;
    const style = styleOf(look.style);
    const items = batch && !whyNot(style, batch) ? (style.legend?.(this.state, this.act) ?? []) : [];
    this.classes.hidden = items.length === 0;
    this.classes.replaceChildren(...items);
    this.beside.sayLook();
  }

  /** Until the rival's new sets are there, nothing old may pass for them. */
  setStale(stale) {
    this.rivalPane.classList.toggle("stale", stale);
    if (!stale) return;
    this.rival.element.dataset.ready = "false";
    this.compare.numbers.textContent = "Gathering…";
  }
}
