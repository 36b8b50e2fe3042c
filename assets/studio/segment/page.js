// The Segment page: pictures, what segments them, and what the segments are called.
import { join, leftOut, refined } from "../shared/address.js";
import { call } from "../shared/client.js";
import { choice, count, h, newId, whenBack } from "../shared/dom.js";
import { colourTable } from "../shared/label-view.js";
import { fieldError, say, tell } from "../shared/messages.js";
import { Edits } from "./edits.js";
import { Gallery } from "./gallery.js";
import { SegmentJob } from "./job.js";
import { SegmentLegend } from "./legend.js";
import { NAMES, readRequest, writeRequest } from "./link.js";
import { Pager } from "./pager.js";
import { SegmentSource } from "./source.js";
import { Takeaway } from "./takeaway.js";
import { SegmentView } from "./view.js";

const DO = "Click one to name it; double-click to enlarge the image.";
const POINT = {
  clusters: `Each colour is a cluster found without labels. ${DO}`,
  classes: `Each colour is a class learnt from labels. ${DO}`,
};
const REFINED = { none: "", crf: "CRF", pamr: "PAMR" };

/** gradio calls this once when the component is on the page. */
export async function mount(element, server, upload) {
  const root = element.querySelector(".ppap");
  if (root.studio) return;
  try {
    const config = await call(server, "hello", null);
    root.studio = new Segment(root, config, server, upload);
    root.studio.start();
  } catch (error) {
    root.replaceChildren(h("p", { class: "messages error" }, error.message));
    throw error;
  }
}

class Segment {
  constructor(root, config, server, upload) {
    this.root = root;
    this.config = config;
    this.server = server;
    this.look = { opacity: 0.6, outline: true };
    this.views = [];
    this.edits = new Edits();
    this.focused = null;
    this.source = new SegmentSource(server, config, { upload, onRequest: (request, byHand) => this.job.segment(request, byHand), stop: () => this.job.stop(), typed: () => refined("segment") });
    this.job = new SegmentJob(this);
    this.pager = new Pager((start) => this.turnTo(start));
    this.legend = new SegmentLegend({ change: (id, changes) => this.change(id, changes), focus: (id) => this.focus(id) });
    this.readout = h("p", { class: "readout", role: "status" }, POINT.clusters);
    this.gallery = new Gallery({ redraw: () => this.recolour(), fail: (text) => this.fail(text) });
    this.grid = this.gallery.grid;
    this.takeaway = new Takeaway(server, { request: () => this.taken(), fail: (text) => this.fail(text) });
    this.summary = h("p", { class: "summary" });
    this.failure = fieldError("take");
    this.stage = h("section", { class: "card stage", "aria-label": "Segments", dataset: { ready: "false" } }, this.toolbar(), this.readout, this.failure, this.gallery.element, this.summary, this.pager.element);
    root.replaceChildren(this.source.element, h("div", { class: "main" }, this.stage), h("div", { class: "right" }, this.legend.element), this.legend.editor.element);
    this.source.model.fill();
    // Runs go on while another tab is looked at.
    whenBack(root, () => this.source.model.refresh());
  }

  /** A run from another tab: segment with its checkpoint. */
  takeRun(name) {
    return this.source.model.takeRun(name);
  }

  /** Segment what the address says, or else the sample photos. */
  start() {
    const { view, form, said } = join("segment", {
      names: NAMES,
      state: () => ({ view: this.address(), form: this.source.kept.texts() }),
      restore: (wanted, sentences) => this.restore(wanted, sentences),
      title: () => this.source.request.checkpoint?.run ?? "",
    });
    this.source.kept.restore(form);
    this.restore(view, said);
  }

  /** What a link to this page says. */
  address() {
    const { source, config, result } = this;
    const kind = this.wantedKind ?? this.shown?.kind;
    return { ...writeRequest(source.request, config), show: kind === "classes" ? kind : "", start: result?.start || "" };
  }

  async restore(view, said) {
    const { request, odd, gone } = readRequest(view, this.config);
    this.wantedKind = view.show ?? "clusters";
    this.source.adopt(request);
    const sentences = [...said, ...leftOut(odd)];
    if (gone) sentences.push(`${gone} no longer has a checkpoint here. The frozen backbone is used instead.`);
    await this.job.segment(request);
    if (sentences.length) say(this.source.remarks, sentences);
    const start = Number(view.start);
    if (this.result && Number.isInteger(start) && start > 0) await this.turnTo(start);
  }

  toolbar() {
    this.kind = choice("Show", [["clusters", "Clusters"], ["classes", "Linear classes"]], "clusters", (kind) => this.showLayer(kind));
    this.kind.group.hidden = true; // until a result has both
    const opacityId = newId("opacity");
    this.opacity = h("input", { id: opacityId, type: "range", min: "0", max: "1", step: "0.05", value: "0.6", oninput: () => this.setLook({ opacity: Number(this.opacity.value) }) });
    this.outline = h("button", { type: "button", class: "toggle", title: "Lines between segments", "aria-pressed": "true", onclick: () => this.setLook({ outline: !this.look.outline }) }, "Outline");
    this.opacity.style.setProperty("--share", "60%");
    return h(
      "div",
      { class: "toolbar" },
      h("div", { class: "tools" }, this.kind.group, h("div", { class: "opacity" }, h("label", { for: opacityId }, "Opacity"), this.opacity), this.outline, this.takeaway.buttons),
      this.takeaway.panel,
    );
  }

  /** Another page of the pictures. */
  async turnTo(start) {
    const { turn } = this.source;
    try {
      const reply = await call(this.server, "pictures", { result: this.result.result, start });
      if (turn !== this.source.turn) return;
      await this.useResult(reply, turn);
      this.stage.scrollIntoView({ block: "start" });
    } catch (error) {
      this.fail(error.message);
    }
  }

  async useResult(result, mine) {
    const kinds = result.layers.map((layer) => layer.kind);
    const wanted = this.wantedKind ?? this.shown?.kind;
    const kind = kinds.includes(wanted) ? wanted : kinds[0];
    // Of a result that grows, those that are there stay.
    const same = this.result?.set === result.set && this.result.start === result.start;
    const kept = same ? this.views.slice(0, result.pictures.length) : [];
    const views = result.pictures.map((picture, i) => kept[i] ?? this.view(picture));
    const layer = result.layers.find((one) => one.kind === kind);
    await Promise.all(views.map((view, i) => view.load(result.pictures[i], layer.maps[i])));
    if (mine !== this.source.turn) return;
    this.views = views;
    this.result = result;
    this.pager.show(result);
    this.gallery.show(views, Math.min(result.per_page, result.expected - result.start));
    this.kind.group.hidden = kinds.length < 2;
    this.takeaway.offer(result);
    this.useLayer(layer);
    this.tell(result);
  }

  view(picture) {
    const view = new SegmentView(picture, {
      hover: (id, event) => this.hover(view, id, event),
      pick: (id, event) => this.pick(id, event),
      enlarge: () => this.enlarge(view),
      drawn: () => this.redraw(),
    });
    return view;
  }

  enlarge(view) {
    this.legend.editor.close();
    this.gallery.enlarge(view);
  }

  /** How many pictures, how they were segmented, and how long each took. */
  tell({ total, seconds, refine, looks }) {
    const pace = seconds >= 0.095 ? `${seconds.toFixed(seconds < 10 ? 1 : 0)} s each` : `${Math.max(1, Math.round(1000 * seconds))} ms each`;
    const parts = [total === 1 ? "1 image" : `${count(total)} images`, seconds ? pace : "", REFINED[refine], looks];
    this.summary.textContent = `${parts.filter(Boolean).join(" · ")}`;
  }

  /** What goes into the ZIP, as it is shown. */
  taken() {
    const { names, colours } = this.edits;
    return { result: this.result.result, kind: this.shown.kind, names, colours, ...this.look };
  }

  async showLayer(kind) {
    const layer = this.result?.layers.find((one) => one.kind === kind);
    if (!layer) return;
    const mine = this.source.turn;
    try {
      await Promise.all(this.views.map((view, i) => view.load(this.result.pictures[i], layer.maps[i])));
      if (mine !== this.source.turn) return;
      this.useLayer(layer);
      if (await this.gallery.large?.loadLarge()) this.recolour();
    } catch (error) {
      this.fail(error.message);
    }
  }

  useLayer(layer) {
    this.shown = layer;
    this.wantedKind = null;
    this.kind.set(layer.kind);
    this.readout.textContent = POINT[layer.kind];
    refined("segment");
    this.fail("");
    const { source: { request }, result: { title, set } } = this;
    this.edits.open(layer, [title, layer.kind, layer.names, request.checkpoint ? "" : set, request.size, request.backbone]);
    this.legend.editor.element.hidden = true;
    this.legend.show(this.edits.names, this.edits.colours, layer.shares);
    this.focused = null;
    this.recolour();
    Object.assign(this.stage.dataset, { ready: "true", kind: layer.kind, result: this.result.result, title, refine: this.result.refine });
  }

  nameOf(id) {
    return this.edits.nameOf(id);
  }

  change(id, changes) {
    this.edits.change(id, changes);
    const { names, colours } = this.edits;
    for (let i = 0; i < names.length; i++) this.legend.update(i, names[i], colours[i]);
    this.recolour();
  }

  hover(view, id, event) {
    if (id === null || id >= this.shown.names.length) {
      this.readout.textContent = POINT[this.shown.kind];
      view.canvas.title = "";
      this.legend.mark(null);
      return;
    }
    this.readout.textContent = `${this.nameOf(id)}: ${(100 * this.shown.shares[id]).toFixed(1)} % of all pixels`;
    view.canvas.title = event.pointerType === "mouse" ? this.nameOf(id) : "";
    this.legend.mark(id);
  }

  pick(id, event) {
    if (id >= this.shown.names.length) return;
    this.legend.editor.open(id, this.shown.names[id], this.edits.names[id], this.edits.colours[id], this.shown.shares[id], event);
    this.focus(id);
  }

  focus(id) {
    // The sheet's segment stays in front while it is open.
    const wanted = id ?? this.legend.editor.id;
    if (wanted === this.focused) return;
    this.focused = wanted;
    this.recolour();
  }

  setLook(changes) {
    Object.assign(this.look, changes);
    this.outline.setAttribute("aria-pressed", String(this.look.outline));
    this.opacity.style.setProperty("--share", `${100 * this.look.opacity}%`);
    this.redraw();
  }

  /** Colours have changed: paint all segments again, once for a frame. */
  recolour() {
    this.stale = true;
    this.redraw();
  }

  redraw() {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      if (!this.shown) return;
      if (this.stale) {
        const table = colourTable(this.edits.colours, this.focused);
        for (const view of this.views) view.colour(table);
        this.stale = false;
      }
      for (const view of this.gallery.large ? [this.gallery.large] : this.views) view.draw(this.look);
      this.gallery.tell();
      this.stage.dataset.drawn = String(Number(this.stage.dataset.drawn ?? 0) + 1);
    });
  }

  fail(text) {
    tell(this.failure, text);
  }
}
