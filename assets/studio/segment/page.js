// The Segment page: pictures, what segments them, and what the segments are called.
import { join, leftOut, moved, refined } from "../shared/address.js";
import { call, follow } from "../shared/client.js";
import { choice, h, newId, whenBack } from "../shared/dom.js";
import { fieldError, say, tell } from "../shared/messages.js";
import { SegmentLegend } from "./legend.js";
import { NAMES, readRequest, writeRequest } from "./link.js";
import { Pager } from "./pager.js";
import { SegmentSource } from "./source.js";
import { SegmentView, colourTable } from "../shared/label-view.js";

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

/** A name as the ZIP has it: what differs only in white space is one name. */
const oneLine = (name) => name.trim().replace(/\s+/g, " ").normalize("NFC");

class Segment {
  constructor(root, config, server, upload) {
    this.root = root;
    this.config = config;
    this.server = server;
    this.look = { opacity: 0.6, outline: true };
    this.views = [];
    this.edits = new Map(); // names and colours by hand, as long as the page is open
    this.focused = null;
    this.source = new SegmentSource(server, config, { upload, onRequest: (request, byHand) => this.segment(request, byHand), stop: () => this.stop(), typed: () => refined("segment") });
    this.pager = new Pager((start) => this.turnTo(start));
    this.legend = new SegmentLegend({ change: (id, changes) => this.change(id, changes), focus: (id) => this.focus(id) });
    this.readout = h("p", { class: "readout", role: "status" }, "Point at a picture to see what a segment is called; click it to name it.");
    this.grid = h("div", { class: "segment-grid" });
    this.failure = fieldError("take");
    this.stage = h("section", { class: "card stage", "aria-label": "Segments", dataset: { ready: "false" } }, this.toolbar(), this.readout, this.failure, this.grid, this.pager.element);
    root.replaceChildren(this.source.element, h("div", { class: "main" }, this.stage), h("div", { class: "right" }, this.legend.element), this.legend.editor.element);
    this.source.fill();
    // Runs go on while another tab is looked at.
    whenBack(root, () => this.source.refresh());
  }

  /** A run from another tab: segment with its checkpoint. */
  takeRun(name) {
    return this.source.takeRun(name);
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
    if (gone) sentences.push(`${gone} has no checkpoint here any more. The frozen backbone is used instead.`);
    await this.segment(request);
    if (sentences.length) say(this.source.remarks, sentences);
    const start = Number(view.start);
    if (this.result && Number.isInteger(start) && start > 0) await this.turnTo(start);
  }

  toolbar() {
    this.kind = choice("Show", [["clusters", "Clusters"], ["classes", "Linear classes"]], "clusters", (kind) => this.showLayer(kind));
    const opacityId = newId("opacity");
    this.opacity = h("input", { id: opacityId, type: "range", min: "0", max: "1", step: "0.05", value: "0.6", oninput: () => this.setLook({ opacity: Number(this.opacity.value) }) });
    this.outline = h("button", { type: "button", class: "toggle", title: "Lines between segments", "aria-pressed": "true", onclick: () => this.setLook({ outline: !this.look.outline }) }, "Outline");
    this.save = h("button", { type: "button", class: "primary", disabled: true, title: "Label maps, overlays and COCO-style JSON in one ZIP", onclick: () => this.take() }, "Download ZIP");
    this.opacity.style.setProperty("--share", "60%");
    return h(
      "div",
      { class: "toolbar" },
      h("div", { class: "tools" }, this.kind.group, h("div", { class: "opacity" }, h("label", { for: opacityId }, "Opacity"), this.opacity), this.outline, h("div", { class: "end" }, this.save)),
    );
  }

  /** Ask for a segmentation; what is shown stays until it is there. */
  async segment(request, byHand = false) {
    const { source } = this;
    if (byHand) moved("segment");
    else refined("segment");
    const mine = source.begin("Segmenting");
    this.grid.classList.add("waiting");
    this.part = null;
    try {
      const progress = (text, share, status, job) => {
        source.show(text, share);
        this.job = job;
        source.stop.hidden = false;
        source.stop.disabled &&= this.stopping === job;
        if (status.part) this.showPart(status.part, mine);
      };
      const result = await follow(this.server, { page: this.config.page, ...request }, progress, () => mine === source.turn);
      if (mine !== source.turn) return;
      if (!result) {
        source.busy.hidden = true; // cancelled: what was there stays
        this.grid.classList.remove("waiting");
        return;
      }
      // Whoever has turned a page meanwhile stays there.
      const start = this.result?.result === result.result ? this.result.start : 0;
      await this.useResult(start ? await call(this.server, "pictures", { result: result.result, start }) : result, mine);
      source.done(result);
    } catch (error) {
      if (mine !== source.turn) return;
      this.grid.classList.remove("waiting");
      // Pictures that the studio has let go of are sent, or read, again.
      if (request.of && /no longer in memory/.test(error.message)) {
        if (request.source === "files" && !request.files) {
          source.adopt({ ...request, source: "samples", of: undefined });
          await this.segment(source.request);
          source.fail(["The images of this link are no longer on the server. The sample photos are shown instead."]);
        } else source.ask({ of: undefined });
        return;
      }
      source.refuse(error);
    }
  }

  /** Let the job do no more; what it has done is shown. */
  async stop() {
    this.stopping = this.job;
    this.source.stop.disabled = true;
    await call(this.server, "stop", this.job).catch((error) => this.source.fail([error.message]));
  }

  /** What is done of a folder's pictures: the first page as it fills, later only their number. */
  async showPart({ result, done }, mine) {
    const known = this.part?.result === result ? this.part : { result, shown: 0 };
    this.part = known;
    const most = this.result?.result === result ? this.result.start + this.result.per_page : Infinity;
    if (this.showing || done === 0 || known.shown >= Math.min(done, most)) {
      if (known.shown) this.pager.show({ ...this.result, total: done });
      return;
    }
    this.showing = true;
    try {
      const start = this.result?.result === result ? this.result.start : 0;
      const reply = await call(this.server, "pictures", { result, start });
      if (mine !== this.source.turn) return;
      await this.useResult(reply, mine);
      known.shown = reply.start + reply.pictures.length;
    } catch {
      return; // it has ended meanwhile, and comes as a whole
    } finally {
      this.showing = false;
    }
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
    if (!same) this.grid.replaceChildren();
    this.grid.replaceChildren(...views.map((view) => view.element));
    this.grid.dataset.count = String(Math.min(views.length, 3));
    this.grid.classList.remove("waiting");
    this.kind.group.hidden = kinds.length < 2;
    this.save.disabled = false;
    this.useLayer(layer);
  }

  view(picture) {
    const view = new SegmentView(picture, { hover: (id, event) => this.hover(view, id, event), pick: (id, event) => this.pick(id, event) });
    return view;
  }

  async showLayer(kind) {
    const layer = this.result?.layers.find((one) => one.kind === kind);
    if (!layer) return;
    const mine = this.source.turn;
    try {
      await Promise.all(this.views.map((view, i) => view.load(this.result.pictures[i], layer.maps[i])));
      if (mine === this.source.turn) this.useLayer(layer);
    } catch (error) {
      this.fail(error.message);
    }
  }

  useLayer(layer) {
    this.shown = layer;
    this.wantedKind = null;
    this.kind.set(layer.kind);
    refined("segment");
    this.fail("");
    // With or without CRF the clusters are the same, and so are their names.
    const { title, set } = this.result;
    const key = JSON.stringify([title, layer.kind, layer.names, this.source.request.checkpoint ? "" : set, this.source.request.size, this.source.request.backbone]);
    if (!this.edits.has(key)) this.edits.set(key, { names: [...layer.names], colours: layer.colours.map((c) => [...c]) });
    this.edit = this.edits.get(key);
    this.legend.editor.element.hidden = true;
    this.legend.show(this.edit.names, this.edit.colours, layer.shares);
    this.focused = null;
    this.recolour();
    Object.assign(this.stage.dataset, { ready: "true", kind: layer.kind, result: this.result.result, title, crf: String(this.result.crf) });
  }

  nameOf(id) {
    return oneLine(this.edit.names[id] ?? "") || this.shown.names[id] || "no segment";
  }

  change(id, { name, colour }) {
    if (name !== undefined) {
      this.edit.names[id] = name;
      // One name, one class, one colour.
      const twin = this.edit.names.findIndex((_, i) => i !== id && this.nameOf(i) === this.nameOf(id));
      if (twin >= 0) this.edit.colours[id] = [...this.edit.colours[twin]];
    }
    if (colour !== undefined) {
      this.edit.colours.forEach((_, i) => {
        if (this.nameOf(i) === this.nameOf(id)) this.edit.colours[i] = [...colour];
      });
    }
    for (let i = 0; i < this.edit.names.length; i++) this.legend.update(i, this.edit.names[i], this.edit.colours[i]);
    this.recolour();
  }

  hover(view, id, event) {
    if (id === null || id >= this.shown.names.length) {
      this.readout.textContent = "Point at a picture to see what a segment is called; click it to name it.";
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
    this.legend.editor.open(id, this.shown.names[id], this.edit.names[id], this.edit.colours[id], this.shown.shares[id], event);
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
      if (!this.edit) return;
      if (this.stale) {
        const table = colourTable(this.edit.colours, this.focused);
        for (const view of this.views) view.colour(table);
        this.stale = false;
      }
      for (const view of this.views) view.draw(this.look);
      this.stage.dataset.drawn = String(Number(this.stage.dataset.drawn ?? 0) + 1);
    });
  }

  /** Where the ZIP is; of many pictures it takes a while. */
  async packed(request) {
    const reply = await call(this.server, "take", request);
    if (!reply.job) return reply;
    for (;;) {
      const status = await call(this.server, "progress", reply.job);
      if (status.state === "done") return status.result;
      this.save.textContent = `Making the ZIP… ${Math.round(100 * status.share)} %`;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  fail(text) {
    tell(this.failure, text);
  }

  async take() {
    this.save.disabled = true;
    this.save.textContent = "Making the ZIP…";
    try {
      const { names, colours } = this.edit;
      const request = { result: this.result.result, kind: this.shown.kind, names, colours, ...this.look };
      const { url, name } = await this.packed(request);
      // The browser writes it to disk itself, however large it is.
      const link = h("a", { href: url, download: name });
      document.body.append(link);
      link.click();
      link.remove();
      this.fail("");
    } catch (error) {
      this.fail(error.message);
    }
    this.save.disabled = false;
    this.save.textContent = "Download ZIP";
  }
}
