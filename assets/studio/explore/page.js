// The Explore page: puts the parts together and keeps the state they share.
import { Anchors } from "./anchors.js";
import { BatchBar } from "./batchbar.js";
import { Beside } from "./beside.js";
import { Camera } from "./camera.js";
import { int16, readView } from "../shared/codec.js";
import { join, refined } from "../shared/address.js";
import { call, latestOnly } from "../shared/client.js";
import { Compare } from "./compare.js";
import { Controls } from "./controls.js";
import { h } from "../shared/dom.js";
import { FeatureChooser } from "./features.js";
import { Histogram } from "./histogram.js";
import { keySheet, listenToKeys } from "./keys.js";
import { readLink, writeLink } from "./link.js";
import { PatchMap } from "./map.js";
import { NotesSheet } from "./notes.js";
import { samePlace } from "./pairing.js";
import { loadPicture } from "./pictures.js";
import { Stage } from "./stage.js";
import { Steps } from "./steps.js";
import { TakeAway } from "./takeaway.js";
import { patchAt, patchCount, whereIs } from "./tiles.js";
import { Fetched } from "./styles/fetched.js";
import { lookOf, styleOf, whyNot } from "./styles/index.js";
import { Toolbar } from "./toolbar.js";
import { Tour } from "./tour.js";

const UNSEEN_MS = 300;
const DOUBLE_MS = 500;

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
    this.config = config;
    this.server = server;
    this.upload = upload;
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
    this.state.fetched = new Fetched(server, () => this.fetched());
    this.camera = new Camera();
    this.camera.listeners.push(() => this.state.view && this.remember());
    this.bar = new BatchBar(server, config, { onBatch: (batch) => this.useBatch(batch), upload });
    this.controls = new Controls(config, (settings) => this.changeSettings(settings), (aim) => call(this.server, "suggest", { batch: this.beside.settings.batch?.batch, aim }));
    this.steps = new Steps((step) => this.setStep(step));
    this.histogram = new Histogram();
    this.compare = new Compare(config.rules, () => this.compareChanged());
    this.map = new PatchMap(server, {
      getState: () => this.state,
      onPick: (patch) => this.pick(patch),
      onSelect: (patches) => this.select(patches),
    });
    this.beside = new Beside(this, new FeatureChooser(server, config, { change: (fields) => this.beside.load(fields), own: (given) => this.beside.loadOwn(given) }));
    this.beside.makeMaps(server, this.map);
    this.controls.element.querySelector(".card-body").prepend(this.beside.settings.element);
    this.take = new TakeAway(server, () => this.exportState(), () => this.link());
    this.notes = new NotesSheet(this, server);
    this.keys = keySheet();
    this.ask = latestOnly(() => this.gather());
    const actions = this.actions();
    // What overlay styles may do, see styles/options.js.
    this.act = { pick: (patch) => this.pick(patch), set: (options) => this.setOptions(options) };
    this.toolbar = new Toolbar(this.state.look, this.compare.element, actions);
    this.stage = new Stage(server, this.state, this.camera, this.toolbar, this.compare, this.beside, { pick: (patch, event) => this.clicked(patch, event), double: (image) => this.doubleClicked(image), act: this.act });
    this.mosaic = this.stage.own;
    this.anchors = new Anchors(this, server, config);
    Object.assign(actions, this.anchors.actions());
    for (const mosaic of this.stage.both) listenToKeys(mosaic.element, actions);
    this.tour = new Tour(this, root);
    root.replaceChildren(
      this.tour.element,
      h("div", { class: "side" }, this.bar.element, this.controls.element),
      h("div", { class: "main" }, this.stage.element, this.steps.element),
      h("div", { class: "right" }, this.anchors.bar.element, this.beside.histograms),
      this.take.element,
      this.notes.element,
      this.keys,
    );
    // Light or dark: the map's colours are not style sheets.
    new MutationObserver(() => this.map.recolourSoon()).observe(document.body, { attributeFilter: ["class"] });
  }

  /** What keys and buttons do. */
  actions() {
    const { state, camera } = this;
    return {
      move: (dx, dy, times) => {
        let patch = state.anchor;
        for (let i = 0; i < times; i++) patch = this.mosaic.tiles.neighbour(patch, dx, dy);
        if (patch !== state.anchor) this.pick(patch);
      },
      step: (by) => this.steps.go(by),
      play: () => this.steps.toggle(),
      look: (changes) => this.setLook(changes),
      toggle: (set) => this.setLook({ show: { ...state.look.show, [set]: !state.look.show[set] } }),
      grid: () => this.setLook({ grid: !state.look.grid }),
      overlay: (by) => this.toolbar.style.step(by),
      zoom: (factor) => this.mosaic.zoom(factor, state.anchor),
      fill: () => camera.fill(camera.filling === null ? whereIs(state.batch, state.anchor)[0] : null),
      another: (by) => {
        const count = state.batch.names.length;
        if (camera.filling !== null) camera.fill((camera.filling + by + count) % count);
      },
      fit: () => (camera.filling !== null && camera.scale === 1 ? camera.fill(null) : camera.fit()),
      clear: () => (camera.filling === null ? this.map.select(new Set()) : camera.fill(null)),
      keys: () => this.keys.showModal(),
      take: () => this.take.open(),
      notes: () => this.notes.open(),
      tour: () => this.tour.begin(),
    };
  }

  async start() {
    const { view } = join("explore", { names: null, state: () => ({ view: this.view() }), restore: (wanted) => this.returnTo(wanted) });
    this.began = view;
    const link = readLink(new URLSearchParams(view), this.config);
    this.controls.setDefault(this.config.default_preset);
    this.adopt(link);
    if (link.ignored.length) this.bar.notice = [`Some parts of the link are not valid and were ignored: ${link.ignored.join(", ")}.`];
    if (link.batch) {
      try {
        await this.bar.restore(link.batch);
      } catch {
        await this.bar.load(this.bar.request, ["The images this link refers to are no longer on the server. The sample photos are shown instead."]);
      }
      return;
    }
    const worked = await this.bar.load({ ...this.bar.request, ...link.request });
    if (!worked && link.request) {
      const said = this.bar.failure;
      await this.bar.load({ source: "samples", size: 448, backbone: this.config.backbone, checkpoint: "" }, [said]);
    }
  }

  /** Make the controls say what a link says; its batch and anchor come with the batch. */
  adopt(link) {
    if (link.settings) this.controls.set(link.settings);
    else this.controls.reset();
    this.state.settings = this.controls.values;
    this.ownSettings = Boolean(link.settings);
    this.wanted = link;
    if (link.look) this.setLook(link.look);
    this.compare.set(link.rule ?? null, link.parameters);
    if (link.beside) this.compare.show(link.beside.kind);
    this.beside.adopt(link.beside);
  }

  /** Show an anchor [image, row, column] at a step, with these settings and beside this rival. */
  async show({ anchor, step, settings, rival }) {
    const { state } = this;
    this.steps.setPlaying(false);
    this.beside.choose(null);
    this.controls.set(settings);
    this.compare.set(rival?.rule ?? null, rival?.parameters);
    this.stage.forgetPreview();
    Object.assign(state, { anchor: patchAt(state.batch, anchor) ?? state.anchor, settings: { ...settings }, step, follow: false, rivalView: null });
    this.ownSettings = true;
    this.stage.setStale(Boolean(rival));
    await this.gather();
  }

  /** Go back to what a link of this page says, and to the batch that was shown then. */
  async restore(url, batch) {
    const link = readLink(new URL(url).search, this.config);
    this.adopt(link);
    this.stage.setStale(Boolean(link.rule));
    if (this.state.batch !== batch) {
      try {
        await this.bar.restore(batch.batch);
      } catch {
        await this.bar.load({ ...this.bar.request, ...link.request });
      }
      return;
    }
    this.wanted = null;
    this.fill(link.filling);
    await this.show({ anchor: link.anchor, step: link.step, settings: link.settings, rival: this.compare.request });
    if (!link.beside) return;
    this.compare.show(link.beside.kind);
    this.beside.adopt(link.beside);
    this.beside.follow(batch);
    this.beside.begin();
    await this.gather();
  }

  /** The image that a link lets fill the stage, if there is one; else all are shown. */
  fill(image) {
    this.camera.fill(image < this.state.batch.names.length ? image : null);
  }

  /** What the address says of this page. */
  view() {
    return this.state.batch ? Object.fromEntries(new URL(this.link()).searchParams) : this.began;
  }

  /** Back, Forward and notes lead to another view of this page; returns what is in the way. */
  async returnTo(view) {
    const { batch } = this.state;
    const link = readLink(new URLSearchParams(view), this.config);
    if (!batch || !link.settings || !link.anchor) return "";
    const same = link.batch ? link.batch === batch.batch : this.bar.holds(link.request);
    if (same) {
      await this.restore(`${location.origin}${location.pathname}?${new URLSearchParams(view)}`, batch);
      return "";
    }
    const shown = this.view();
    this.adopt(link);
    let refused = "";
    if (link.batch) {
      refused = await this.bar.restore(link.batch).then(() => "", () => "The images of this view are no longer on the server.");
      if (refused) this.bar.say([`${refused} The view is unchanged.`], []);
    } else if (!(await this.bar.load({ ...this.bar.request, images: undefined, ...link.request }))) refused = this.bar.failure;
    // The controls say again what is on screen.
    if (refused) await this.restore(`${location.origin}${location.pathname}?${new URLSearchParams(shown)}`, batch);
    return refused;
  }

  async useBatch(batch) {
    const { state } = this;
    const link = this.wanted ?? {};
    this.wanted = null;
    const picture = await loadPicture(batch.picture);
    if (batch.labels) batch.labels = int16(batch.labels);
    this.picture = picture;
    this.patches = patchCount(batch);
    const anchor = samePlace(state, batch) ?? batch.anchor;
    Object.assign(state, { batch, view: null, rivalView: null, anchor, selection: new Set(), hovered: null, follow: true });
    this.steps.setPlaying(false);
    if (link.anchor) state.anchor = patchAt(batch, link.anchor) ?? state.anchor;
    if (link.step !== undefined) Object.assign(state, { step: link.step, follow: false });
    this.controls.setBatch(batch);
    if (!this.ownSettings) {
      this.controls.reset();
      state.settings = this.controls.values;
      this.ownSettings = false; // nobody has moved any
    }
    this.toolbar.setBatch(batch);
    this.toolbar.options.show(state, this.act);
    if (whyNot(styleOf(state.look.style), batch)) this.setLook({ style: "sets" });
    this.bar.describe(batch);
    this.compare.fitTo(this.patches);
    this.fill(link.filling);
    this.stage.setBatch(batch, picture);
    this.anchors.setBatch(batch, picture, link);
    this.beside.follow(batch);
    await this.gather();
    this.beside.begin();
    // Plotly takes a second to load, in which nothing is painted: the photographs come first.
    await painted();
    if (state.batch !== batch) return;
    this.map.setBatch(batch, picture);
    this.beside.maps.firstSet();
  }

  /** A run from another tab, on the images that it is evaluated on. */
  async takeRun(run) {
    this.ownSettings = false; // those of its training
    return this.bar.openRun({ run });
  }

  /** Images and features from another tab, with the thresholds of their training. */
  openImages(request) {
    this.ownSettings = false;
    return this.bar.load(request);
  }

  /** Anchors from another tab: the first is shown, several are kept; with the next batch, or at once. */
  goTo(anchors, settings, next) {
    const kept = anchors.length > 1 ? anchors : undefined;
    if (next) {
      this.wanted = { anchor: anchors[0], kept };
      return;
    }
    if (kept) this.anchors.kept.set(kept.map((where) => patchAt(this.state.batch, where)));
    this.show({ anchor: anchors[0], step: settings.steps, settings, rival: this.compare.request });
  }

  /** Settings moved by hand stay when the backbone changes. */
  changeSettings(settings) {
    if (!this.beside.settings.takes(settings)) {
      this.ownSettings = true;
      this.state.settings = settings;
    }
    this.ask();
  }

  /** A double click on a mosaic: the image fills the stage, or all are shown again. */
  doubleClicked(image) {
    const { camera, state } = this;
    const { anchor } = this.earlier;
    camera.fill(camera.filling === null ? image : null);
    // The first click made another patch the anchor; that was not meant.
    if (anchor !== state.anchor) this.useAnchor(anchor);
  }

  /** A click on a mosaic: with Shift it keeps the patch. */
  clicked(patch, event) {
    const now = performance.now();
    if (!(now - this.earlier?.at < DOUBLE_MS)) this.earlier = { anchor: this.state.anchor, at: now };
    const style = styleOf(this.state.look.style);
    if (event?.shiftKey) this.anchors.kept.toggle(patch);
    else if (event?.altKey && style.click) style.click(this.state, this.act, patch);
    else this.pick(patch);
  }

  pick(patch) {
    const { camera } = this;
    const [image] = whereIs(this.state.batch, patch);
    if (camera.filling !== null && camera.filling !== image) camera.fill(image);
    this.useAnchor(patch);
  }

  useAnchor(patch) {
    this.stage.forgetPreview();
    this.state.anchor = patch;
    this.state.follow = this.state.follow || this.state.step === 0;
    this.ask();
  }

  async gather() {
    const { state } = this;
    if (!state.batch) return;
    const { batch, anchor, settings } = state;
    try {
      const rival = this.compare.request;
      const beside = this.beside.request;
      const reply = await call(this.server, "gather", { batch: batch.batch, anchor, settings, rival, beside });
      if (state.batch !== batch) return;
      state.view = { ...readView(reply.view, this.patches), anchor, settings };
      state.rivalView = reply.rival ? readView(reply.rival, this.patches) : null;
      this.beside.take(reply, beside);
      // An answer to an older choice of rival leaves the pane waiting for the newer one.
      if (JSON.stringify(rival) === JSON.stringify(this.compare.request)) this.stage.setStale(false);
      this.compare.say(reply.rival_error ?? "");
      if (!reply.rival) this.compare.numbers.textContent = "";
      this.stage.fail("");
      const last = state.view.steps.length - 1;
      if (state.follow || state.step > last) state.step = last;
      state.follow = state.step === last;
      this.showAll();
      this.anchors.follow();
    } catch (error) {
      if (state.batch !== batch) return;
      if (error.field in this.controls.fields) this.controls.fail(error.field, error.message);
      this.stage.fail(error.message);
      if (error.gone) this.reopen();
    }
  }

  /** The studio was restarted, or let go of the batch: make it again, and go on where we were. */
  async reopen() {
    this.wanted = readLink(new URL(this.link()).search, this.config);
    await this.bar.reload({});
  }

  /** Everything that depends on the view. The mosaics first, at once: they are what was asked for. */
  showAll() {
    const { view, batch, anchor, step } = this.state;
    const label = batch.labels ? batch.labels[anchor] : -1;
    this.stage.draw();
    this.steps.setView(view, step, Boolean(batch.labels), label >= 0 ? batch.classes[label] : null);
    this.showNumbers();
  }

  showNumbers() {
    const { view, rivalView, step, batch, look } = this.state;
    this.toolbar.setCounts(view.steps[step]);
    if (rivalView) this.compare.setViews(view, rivalView, step, Boolean(batch.labels));
    this.histogram.setView(view, step);
    this.beside.showNumbers();
    if (styleOf(look.style).live) this.stage.showLegend();
    this.anchors.showStep();
    this.map.recolourSoon();
    this.stage.announce();
    this.remember();
  }

  /** The address always says what is shown, so that a reload comes back to it. */
  remember() {
    refined("explore");
  }

  setStep(step) {
    const { state } = this;
    if (!state.view) return;
    state.step = step;
    state.follow = step === state.view.steps.length - 1;
    this.stage.draw();
    this.steps.setStep(step);
    this.showNumbers();
  }

  setLook(changes) {
    const { look } = this.state;
    Object.assign(look, changes);
    this.toolbar.show(look);
    this.toolbar.options.show(this.state, this.act);
    this.map.followStyle();
    if (this.state.view) this.remember();
    this.stage.showLegend();
    this.stage.invalidate();
    this.anchors?.lookChanged();
  }

  /** Change options of the overlay style that is drawn. */
  setOptions(options) {
    const { look } = this.state;
    this.setLook({ options: { ...look.options, [look.style]: { ...look.options?.[look.style], ...options } } });
  }

  /** What a style had asked the server for is there. */
  fetched() {
    this.stage.showLegend();
    this.stage.invalidate();
    this.map.recolourSoon();
  }

  select(patches) {
    this.state.selection = patches;
    this.anchors.lasso.show();
    this.beside.maps.selected(patches);
    this.stage.invalidate();
  }

  compareChanged() {
    this.state.rivalView = null;
    this.beside.choose(this.compare.features);
    this.stage.setStale(Boolean(this.compare.rule));
    this.stage.draw();
    this.ask();
  }

  exportState() {
    const { batch, anchor, settings, step } = this.state;
    return { page: this.config.page, batch: batch.batch, anchor, settings, step, look: lookOf(this.state), across: this.mosaic.tiles.lines, rival: this.compare.request, beside: this.beside.request, ...this.anchors.exported };
  }

  link() {
    const { batch, anchor, settings, step, look } = this.state;
    const where = this.mosaic.position(anchor);
    return writeLink(location, { batch, anchor: where, settings, step, look, rival: this.compare.request, beside: this.beside.link(), filling: this.camera.filling, ...this.anchors.linked });
  }
}

/** Until what was drawn is on the screen; a page that nobody looks at does not wait for that. */
function painted() {
  const frame = new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  return Promise.race([frame, new Promise((resolve) => setTimeout(resolve, UNSEEN_MS))]);
}
