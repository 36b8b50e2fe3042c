// The Explore page: puts the parts together and keeps the state they share.
import { BatchBar } from "./batchbar.js";
import { int16, readView, unpackCodes } from "./codec.js";
import { call, latestOnly } from "./client.js";
import { Compare } from "./compare.js";
import { Controls } from "./controls.js";
import { choice, count, fixed, h, newId } from "./dom.js";
import { Histogram } from "./histogram.js";
import { keySheet, listenToKeys } from "./keys.js";
import { readLink, writeLink } from "./link.js";
import { PatchMap } from "./map.js";
import { Camera, Mosaic } from "./mosaic.js";
import { Steps } from "./steps.js";
import { TakeAway } from "./takeaway.js";

const SETS = [
  ["positive", "Positive"],
  ["ambiguous", "Ambiguous"],
  ["negative", "Negative"],
];
const STYLES = [
  ["sets", "Sets", "Blue positive, amber ambiguous, dark negative"],
  ["boxes", "Boxes", "Boxes as in the paper's Fig. 5"],
  ["similarity", "Similarity", "Similarity to the proxy of this step"],
  ["labels", "Labels", "The label maps, by patch"],
];

/** gradio calls this once when the component is on the page. */
export async function mount(element, server, upload) {
  const root = element.querySelector(".ppap");
  if (root.studio) return;
  try {
    const config = await call(server, "hello", null);
    root.studio = new Explore(root, config, server, upload);
    await root.studio.start();
  } catch (error) {
    root.replaceChildren(h("p", { class: "messages error" }, error.message));
    throw error;
  }
}

class Explore {
  constructor(root, config, server, upload) {
    this.root = root;
    this.config = config;
    this.server = server;
    this.state = {
      batch: null,
      anchor: 0,
      settings: {},
      view: null,
      rivalView: null,
      step: 0,
      follow: true, // stay at the last step when T or the anchor changes
      selection: new Set(),
      hovered: null,
      look: { style: "sets", opacity: 0.6, grid: false, show: { positive: true, ambiguous: true, negative: true } },
    };
    this.camera = new Camera();
    this.bar = new BatchBar(server, config, { onBatch: (batch) => this.useBatch(batch), upload });
    this.controls = new Controls(config, (settings) => this.change({ settings }));
    this.steps = new Steps((step) => this.setStep(step));
    this.histogram = new Histogram();
    this.compare = new Compare(config.rules, () => this.compareChanged());
    this.map = new PatchMap(server, {
      getState: () => this.state,
      onPick: (patch) => this.pick(patch),
      onSelect: (patches) => this.select(patches),
    });
    this.take = new TakeAway(server, () => this.exportState(), () => this.link());
    this.keys = keySheet();
    this.ask = latestOnly(() => this.gather());
    this.askPreview = latestOnly((patch) => this.preview(patch));
    this.build();
  }

  build() {
    const legendId = newId("legend");
    const getState = () => this.state;
    const onPick = (patch) => this.pick(patch);
    const onHover = (patch) => this.hover(patch);
    const common = { camera: this.camera, describedBy: legendId, onPick, onHover };
    this.mosaic = new Mosaic(
      { ...common, id: "mosaic", label: "Images of the batch. Click a patch to make it the anchor." },
      getState,
      () => this.state.view,
    );
    this.rivalMosaic = new Mosaic(
      { ...common, id: "rival-mosaic", label: "The rival rule for the same anchor." },
      getState,
      () => this.state.rivalView,
    );
    this.readout = h("p", { class: "readout", "aria-hidden": "true" });
    this.live = h("p", { class: "unseen", role: "status", "aria-live": "polite" });
    this.problem = h("p", { class: "messages error", role: "alert", hidden: true });
    this.rivalTitle = h("h3", {});
    this.rivalPane = h("div", { class: "pane", hidden: true }, this.rivalTitle, this.rivalMosaic.element, this.compare.numbers, this.compare.explanation, this.compare.error);
    this.ownTitle = h("h3", { hidden: true }, "PPAP");
    this.panes = h("div", { class: "panes" }, h("div", { class: "pane" }, this.ownTitle, this.mosaic.element, this.compare.ownNumbers), this.rivalPane);
    this.classes = h("p", { class: "classes", hidden: true });
    const stage = h("section", { class: "card stage", "aria-label": "Mosaic" }, this.toolbar(legendId), this.classes, this.panes, this.readout, this.problem, this.live);
    this.main = h("div", { class: "main" }, stage, this.steps.element);
    const side = h("div", { class: "side" }, this.bar.element, this.controls.element);
    const right = h("div", { class: "right" }, this.map.element, this.histogram.element);
    this.root.replaceChildren(side, this.main, right, this.take.element, this.keys);
    for (const mosaic of [this.mosaic, this.rivalMosaic]) listenToKeys(mosaic.element, this.actions());
    this.mosaic.element.mosaic = this.mosaic;
    this.rivalMosaic.element.mosaic = this.rivalMosaic;
    this.resize();
    window.addEventListener("resize", () => this.resize());
    new MutationObserver(() => this.map.recolourSoon()).observe(document.body, { attributeFilter: ["class"] });
  }

  toolbar(legendId) {
    const { look } = this.state;
    this.legend = Object.fromEntries(
      SETS.map(([set, title], i) => {
        const number = h("b", {}, "–");
        const button = h(
          "button",
          { type: "button", class: `chip ${set}`, "aria-pressed": "true", title: `Show or hide (${i + 1})`, onclick: () => this.toggle(set) },
          h("i", {}),
          `${title} `,
          number,
        );
        return [set, { button, number }];
      }),
    );
    const chips = SETS.map(([set]) => this.legend[set].button);
    this.style = choice("Overlay", STYLES, look.style, (style) => this.setLook({ style }));
    const opacityId = newId("opacity");
    this.opacity = h("input", { id: opacityId, type: "range", min: "0", max: "1", step: "0.05", value: String(look.opacity), oninput: () => this.setLook({ opacity: Number(this.opacity.value) }) });
    this.grid = h("button", { type: "button", class: "toggle", "aria-pressed": "false", title: "Grid (g)", onclick: () => this.actions().grid() }, "Grid");
    const zoom = (text, title, act) => h("button", { type: "button", title, "aria-label": title, onclick: act }, text);
    return h(
      "div",
      { class: "toolbar" },
      h("div", { class: "legend", id: legendId, role: "group", "aria-label": "Sets" }, chips, h("span", { class: "chip anchor" }, h("i", {}), "Anchor"), h("span", { class: "chip proxy", title: "The patch most similar to the proxy of this step" }, h("i", {}), "Nearest to proxy")),
      h(
        "div",
        { class: "tools" },
        this.style.group,
        h("div", { class: "opacity" }, h("label", { for: opacityId }, "Opacity"), this.opacity),
        this.grid,
        h("div", { class: "zoom", role: "group", "aria-label": "Zoom" }, zoom("−", "Zoom out (−)", () => this.zoom(1 / 1.4)), zoom("Fit", "Fit (0)", () => this.camera.fit()), zoom("+", "Zoom in (+)", () => this.zoom(1.4))),
        this.compare.element,
        h("div", { class: "end" }, zoom("?", "Keys (?)", () => this.keys.showModal()), h("button", { type: "button", class: "primary", onclick: () => this.take.open() }, "Take it with you")),
      ),
    );
  }

  actions() {
    const { state } = this;
    return {
      move: (dx, dy, times) => {
        let patch = state.anchor;
        for (let i = 0; i < times; i++) patch = this.mosaic.neighbour(patch, dx, dy);
        if (patch !== state.anchor) this.pick(patch);
      },
      step: (by) => this.steps.go(by),
      play: () => this.steps.toggle(),
      toggle: (set) => this.toggle(set),
      grid: () => this.setLook({ grid: !state.look.grid }),
      zoom: (factor) => this.zoom(factor),
      fit: () => this.camera.fit(),
      clear: () => this.map.select(new Set()),
      help: () => this.keys.showModal(),
    };
  }

  zoom(factor) {
    this.camera.zoom(factor, this.mosaic.width / 2, this.mosaic.height / 2);
  }

  /** Give the mosaics the height that the window leaves them. */
  resize() {
    const narrow = window.innerWidth < 760;
    const two = !this.rivalPane.hidden;
    const room = narrow ? window.innerHeight * 0.7 : Math.max(320, window.innerHeight - 420);
    for (const mosaic of [this.mosaic, this.rivalMosaic]) {
      mosaic.maxHeight = two && !narrow ? Math.max(300, room - 40) : room;
      mosaic.layout();
    }
  }

  async start() {
    const link = readLink(location.search, this.config);
    this.controls.setDefault(this.config.default_preset);
    if (link.settings) this.controls.set(link.settings);
    else this.controls.reset();
    this.state.settings = this.controls.values;
    this.ownSettings = Boolean(link.settings);
    this.wanted = link;
    if (link.look) this.setLook(link.look);
    if (link.rule) this.compare.set(link.rule, link.parameters);
    if (link.batch) {
      try {
        await this.bar.restore(link.batch);
      } catch {
        await this.bar.load(this.bar.request, ["The images of this link are no longer on the server. The sample photos are shown instead."]);
      }
      return;
    }
    const worked = await this.bar.load({ ...this.bar.request, ...link.request });
    if (!worked && link.request) {
      const said = this.bar.errors.querySelector("p").textContent;
      await this.bar.load({ source: "samples", size: 448, backbone: this.config.backbone, checkpoint: "" }, [said]);
    }
  }

  async useBatch(batch) {
    const { state, wanted } = this;
    const picture = await loadPicture(batch.picture);
    if (batch.labels) batch.labels = int16(batch.labels);
    const patches = batch.names.length * batch.rows * batch.columns;
    Object.assign(state, { batch, view: null, rivalView: null, anchor: batch.anchor, selection: new Set(), follow: true });
    this.steps.setPlaying(false);
    const link = wanted ?? {};
    this.wanted = null;
    if (link.anchor) {
      const [image, row, column] = link.anchor;
      const inside = image < batch.names.length && row < batch.rows && column < batch.columns;
      if (inside) state.anchor = (image * batch.rows + row) * batch.columns + column;
    }
    if (link.step !== undefined) Object.assign(state, { step: link.step, follow: false });
    this.controls.setDefault(batch.preset);
    if (!this.ownSettings) {
      this.controls.reset();
      state.settings = this.controls.values;
    }
    this.patches = patches;
    this.style.group.querySelector("[data-value=labels]").disabled = !batch.labels;
    if (!batch.labels && state.look.style === "labels") this.setLook({ style: "sets" });
    this.bar.describe(batch);
    this.listClasses();
    this.camera.fit();
    for (const mosaic of [this.mosaic, this.rivalMosaic]) mosaic.setBatch(batch, picture);
    await this.gather();
    this.map.setBatch(batch, picture);
  }

  /** Settings moved by hand stay when the backbone changes. */
  change({ settings }) {
    this.ownSettings = true;
    this.state.settings = settings;
    this.ask();
  }

  pick(patch) {
    clearTimeout(this.resting); // no preview of the patch that is being gathered
    this.state.anchor = patch;
    this.state.follow = this.state.follow || this.state.step === 0;
    this.ask();
  }

  async gather() {
    const { state } = this;
    if (!state.batch) return;
    const { batch, anchor, settings } = state;
    try {
      const reply = await call(this.server, "gather", {
        batch: batch.batch,
        anchor,
        settings,
        rival: this.compare.request,
      });
      if (state.batch !== batch) return;
      state.view = { ...readView(reply.view, this.patches), anchor };
      state.rivalView = reply.rival ? readView(reply.rival, this.patches) : null;
      this.compare.say(reply.rival_error ?? "");
      this.problem.hidden = true;
      const last = state.view.steps.length - 1;
      if (state.follow || state.step > last) state.step = last;
      this.showAll();
    } catch (error) {
      if (state.batch !== batch) return;
      if (error.field && error.field in this.controls.fields) this.controls.fail(error.field, error.message);
      this.problem.textContent = error.message;
      this.problem.hidden = false;
    }
  }

  /** Everything that depends on the view. The mosaics first, at once: they are what was asked for. */
  showAll() {
    const { state } = this;
    const { view, batch } = state;
    const label = batch.labels ? batch.labels[state.anchor] : -1;
    this.drawMosaics();
    this.steps.setView(view, state.step, Boolean(batch.labels), label >= 0 ? batch.classes[label] : null);
    this.showNumbers();
    this.announce();
  }

  drawMosaics() {
    this.rivalTitle.textContent = this.compare.rule?.title ?? "";
    const two = Boolean(this.compare.rule);
    if (this.rivalPane.hidden === two) {
      this.rivalPane.hidden = !two;
      this.ownTitle.hidden = this.compare.ownNumbers.hidden = !two;
      this.panes.classList.toggle("two", two);
      this.resize();
    }
    this.mosaic.draw();
    if (two) this.rivalMosaic.draw();
  }

  showNumbers() {
    const { view, rivalView, step, batch } = this.state;
    for (const [set] of SETS) this.legend[set].number.textContent = count(view.steps[step][set]);
    if (rivalView) this.compare.setViews(view, rivalView, step, Boolean(batch.labels));
    this.histogram.setView(view, step);
    this.map.recolourSoon();
  }

  setStep(step) {
    const { state } = this;
    if (!state.view) return;
    state.step = step;
    state.follow = step === state.view.steps.length - 1;
    this.drawMosaics();
    this.steps.setStep(step);
    this.showNumbers();
    this.announce();
  }

  announce() {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => {
      const { batch, anchor, view, step } = this.state;
      if (!view) return;
      const numbers = view.steps[step];
      this.live.textContent =
        `Anchor: ${this.where(anchor)}. Step ${step} of ${view.steps.length - 1}: ` +
        `${numbers.positive} positive, ${numbers.ambiguous} ambiguous, ${numbers.negative} negative.`;
      this.readout.textContent = this.state.hovered === null || !batch ? `Anchor: ${this.where(anchor)}` : this.readout.textContent;
    }, 250);
  }

  where(patch) {
    const { batch } = this.state;
    const [image, row, column] = this.mosaic.position(patch).split(",").map(Number);
    const label = batch.labels ? batch.labels[patch] : -1;
    return `${batch.names[image]}, row ${row}, column ${column}${label >= 0 ? `, ${batch.classes[label]}` : ""}`;
  }

  hover(patch) {
    const { state } = this;
    state.hovered = patch;
    for (const mosaic of [this.mosaic, this.rivalMosaic]) mosaic.hover(patch);
    if (patch === null || !state.view) {
      this.readout.textContent = state.view ? `Anchor: ${this.where(state.anchor)}` : "";
      return;
    }
    const level = state.view.levels[Math.min(state.step, state.view.levels.length - 1)][patch];
    this.readout.textContent = `${this.where(patch)} · similarity to the proxy ${fixed(level / 127.5 - 1, 2)}`;
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.askPreview(patch), 60);
  }

  /** What a click here would gather first: the patches above Φ⁰, drawn as a dashed line. */
  async preview(patch) {
    const { state } = this;
    if (state.hovered !== patch) return;
    const { batch } = state;
    try {
      const { phi0 } = state.settings;
      const reply = await call(this.server, "preview", { batch: batch.batch, anchor: patch, phi0 });
      if (state.batch !== batch || state.hovered !== patch) return;
      const [codes] = unpackCodes(reply.codes, this.patches, 1);
      for (const mosaic of [this.mosaic, this.rivalMosaic]) {
        mosaic.preview = { patch, codes };
        mosaic.drawGlass();
      }
      this.mosaic.element.dataset.preview = String(reply.count);
      this.readout.textContent += ` · as anchor: ${count(reply.count)} patches above Φ⁰`;
    } catch {
      // A preview that fails is no loss: the click reports what is wrong.
    }
  }

  toggle(set) {
    const { show } = this.state.look;
    this.setLook({ show: { ...show, [set]: !show[set] } });
  }

  setLook(changes) {
    const { look } = this.state;
    Object.assign(look, changes);
    for (const [set] of SETS) this.legend[set].button.setAttribute("aria-pressed", String(look.show[set]));
    this.style.set(look.style);
    this.opacity.value = String(look.opacity);
    this.grid.setAttribute("aria-pressed", String(look.grid));
    this.listClasses();
    for (const mosaic of [this.mosaic, this.rivalMosaic]) mosaic.invalidate();
  }

  /** Which colour is which class, while the label maps are shown. */
  listClasses() {
    const { batch, look } = this.state;
    this.classes.hidden = look.style !== "labels" || !batch?.labels;
    if (this.classes.hidden) return;
    const present = [...new Set(batch.labels)].filter((label) => label >= 0).sort((a, b) => a - b);
    this.classes.replaceChildren(
      ...present.map((label) => {
        const swatch = h("i", {});
        swatch.style.background = `rgb(${batch.colours[label].join(",")})`;
        return h("span", { class: "chip" }, swatch, batch.classes[label]);
      }),
    );
  }

  select(patches) {
    this.state.selection = patches;
    for (const mosaic of [this.mosaic, this.rivalMosaic]) mosaic.invalidate();
  }

  compareChanged() {
    if (!this.compare.rule) this.state.rivalView = null;
    this.drawMosaics();
    this.ask();
  }

  exportState() {
    const { batch, anchor, settings, step, look } = this.state;
    return { batch: batch.batch, anchor, settings, step, look, across: this.mosaic.across, rival: this.compare.request };
  }

  link() {
    const { batch, anchor, settings, step, look } = this.state;
    return writeLink(location, {
      batch,
      anchor: this.mosaic.position(anchor),
      settings,
      step,
      look,
      rival: this.compare.request,
    });
  }
}

function loadPicture(url) {
  return new Promise((resolve, reject) => {
    const picture = new Image();
    picture.onload = () => resolve(picture);
    picture.onerror = () => reject(new Error("The pictures of this batch could not be loaded."));
    picture.src = url;
  });
}
