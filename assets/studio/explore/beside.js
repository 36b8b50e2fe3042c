// A second choice of features for the same images, or the same features under other settings: one
// anchor, and two mosaics, maps and histograms. What changes from the first to the second.
import { call } from "../shared/client.js";
import { cosine, int16, readView, unpackCodes } from "../shared/codec.js";
import { fixed, h } from "../shared/dom.js";
import { uploadAll } from "../shared/drop.js";
import { fetchBeside } from "./besideload.js";
import { BesidePane, BesideTable } from "./besidepane.js";
import { BesideSettings } from "./besidesettings.js";
import { change, stepBeside } from "./difference.js";
import { Histogram } from "./histogram.js";
import { MapBeside } from "./mapbeside.js";
import { Mosaic } from "./mosaic.js";
import { holding, ofSameImages, pulled, sameNumber } from "./pairing.js";
import { loadPicture } from "./pictures.js";
import { lookBeside, styleOf, whyNotBeside } from "./styles/index.js";
import { patchCount } from "./tiles.js";

export class Beside {
  /** page: the Explore page; chooser: {element, value(), set(fields)}, which features. */
  constructor(page, chooser) {
    this.page = page;
    this.chooser = chooser;
    this.kind = null; // "same", "features", or null: nothing stands beside
    this.batch = null;
    this.view = null;
    this.difference = null;
    this.given = null; // {npz} or {batch} of features of one's own
    this.turn = 0;
    this.settings = new BesideSettings(page, () => this.batch);
    this.choosing = h("div", { class: "beside-choice", hidden: true }, chooser.element);
    this.table = new BesideTable();
    this.histogram = new Histogram("Similarity to the second proxy");
    this.histogram.element.classList.add("second");
    this.histograms = h("div", { class: "histograms" }, page.histogram.element);
  }

  /** The mosaic, with what all mosaics share; hover(patch of the first, patch of the second). */
  makeMosaic(common, hover) {
    const options = {
      ...common,
      id: "beside-mosaic",
      label: "The same images with the second features. Click a patch to make it the anchor.",
      onPick: (patch, event) => this.batch && common.onPick(this.toFirst(patch), event),
      onHover: (patch) => (patch === null || !this.batch ? hover(null, null) : hover(this.toFirst(patch), patch)),
    };
    this.mosaic = new Mosaic(options, () => this.state, () => this.view);
    this.pane = new BesidePane(this.mosaic);
    return this.mosaic;
  }

  makeMaps(server, first) {
    this.maps = new MapBeside(server, first, this);
    return this.maps;
  }

  get shown() {
    return this.kind !== null;
  }

  /** What the server needs to know, or null. */
  get request() {
    return this.batch && { batch: this.batch.batch, settings: this.settings.values };
  }

  /** The second's anchor: the patch that holds the middle of the first's. */
  get anchor() {
    return this.toSecond(this.page.state.anchor);
  }

  get step() {
    const { view, step } = this.page.state;
    return view && this.view ? stepBeside(step, view, this.view) : 0;
  }

  toFirst = (patch) => this.backward[patch];
  toSecond = (patch) => this.forward?.[patch] ?? 0;

  /** The page's state as the second pane, its map and the overlays see it. */
  get state() {
    const { batch, anchor, view, step, difference } = this;
    const look = batch ? lookBeside(this.page.state.look, batch) : this.page.state.look;
    return { ...this.page.state, look, batch, anchor, settings: this.settings.values, view, step, difference, selection: this.selection, kept: [], trust: null };
  }

  get selection() {
    const { selection } = this.page.state;
    if (this.pulledFrom !== selection) {
      this.pulledFrom = selection;
      this.pulledTo = this.backward ? pulled(selection, this.backward) : new Set();
    }
    return this.pulledTo;
  }

  /** Patches of the second as those of the first; some, even where its patches are the smaller ones. */
  selected(patches) {
    const found = pulled(patches, this.forward);
    return found.size || !patches.size ? found : new Set([...patches].map(this.toFirst));
  }

  /** Put nothing (null), the same features or other ones beside the first. */
  choose(kind) {
    if (kind === this.kind) return;
    this.leave();
    this.kind = kind;
    if (!kind) return this.showChoice();
    this.showChoice();
    if (kind === "same") this.settings.edit("second");
    if (!this.page.state.batch) return;
    this.follow(this.page.state.batch);
    this.begin();
  }

  /** Load features, {backbone, checkpoint, run, at, output}, and put them beside the first. */
  open(fields) {
    this.chooser.set(fields);
    if (this.kind === "features") return this.load(fields);
    this.page.compare.show("features");
    return this.page.compareChanged();
  }

  leave() {
    this.turn++;
    this.drop();
    this.kind = null;
    this.given = null;
    this.settings.adopt();
    this.maps.morph.set(0);
    this.pane.progress(null);
    this.pane.fail("");
  }

  /** Forget the second features, not that there are to be some. */
  drop() {
    this.loading = false;
    this.pane.say("");
    this.batch = this.view = this.difference = this.forward = this.backward = null;
    this.pulledFrom = null;
    this.page.state.difference = null;
    this.table.element.hidden = true;
    this.histogram.element.remove();
    this.page.histogram.heading.textContent = "Similarity to the proxy";
    this.maps.drop();
  }

  showChoice() {
    this.choosing.hidden = this.kind !== "features";
    this.settings.element.hidden = !this.kind;
  }

  /** What a link says; loading begins with the first batch. */
  adopt(link) {
    this.leave();
    this.kind = link?.kind ?? null;
    if (this.kind === "features") {
      const { npz, batch, ...fields } = link.fields;
      this.given = npz ? { npz } : batch ? { batch } : null;
      this.chooser.set(this.given ? { backbone: "npz", npz } : fields);
    }
    this.maps.morph.set(link?.morph ?? 0);
    this.showChoice();
    this.settings.adopt(link ?? {});
  }

  /** What a link must say, or null. */
  link() {
    if (!this.kind) return null;
    const fields = this.kind === "features" ? this.wanted : {};
    return { kind: this.kind, fields, settings: this.settings.own, edited: this.settings.edited, morph: this.maps.morph.share };
  }

  /** The first features are others now: keep the second ones where they are of the same images. */
  follow(batch) {
    if (!this.kind) return;
    if (this.kind === "same") this.put(batch, this.page.picture);
    else if (this.batch && (this.given ? sameNumber : ofSameImages)(this.batch, batch)) this.put(this.batch, this.picture);
    else {
      this.turn++;
      this.drop();
      this.setStale(true);
    }
  }

  /** Which features stand beside, or are to: those of a network, or {npz} or {batch} of one's own. */
  get wanted() {
    return this.given ?? this.chooser.value();
  }

  /** Load what is to stand beside, where it is not there yet. */
  begin() {
    if (this.kind === "features" && !this.batch) this.load(this.wanted);
  }

  /** Load features for the images of the first batch; until they are there, others stay. */
  async load(fields) {
    const mine = ++this.turn;
    this.loading = true;
    this.setStale(true);
    this.pane.fail("");
    this.pane.progress("Loading the second features");
    try {
      const batch = await fetchBeside(this.page, fields, (text, share) => this.pane.progress(text, share), () => mine === this.turn);
      if (!batch || mine !== this.turn) return;
      this.given = fields.files ? { batch: batch.batch } : fields.npz || fields.batch ? fields : null;
      await this.setBatch(batch);
    } catch (error) {
      if (mine !== this.turn) return;
      this.loading = false;
      this.pane.progress(null);
      this.pane.fail(error.message);
      this.chooser.failed();
      if (this.view) this.setStale(false);
    }
  }

  /** Features of one's own: {npz: path} or {files: [File]}. */
  async loadOwn({ npz, files }) {
    try {
      const sent = files && (await uploadAll(files.slice(0, 1), this.page.upload, () => {}, () => true));
      await this.load(sent ? { files: sent } : { npz });
    } catch (error) {
      this.pane.fail(`The upload failed: ${error?.message ?? error}`);
    }
  }

  /** Put a batch of the same images, as the server describes it, beside the first. */
  async setBatch(batch) {
    const mine = ++this.turn;
    this.kind = "features";
    this.page.state.rivalView = null;
    this.page.compare.show("features");
    this.showChoice();
    const picture = await loadPicture(batch.picture);
    if (mine !== this.turn) return;
    if (batch.labels && !(batch.labels instanceof Int16Array)) batch.labels = int16(batch.labels);
    this.chooser.set(batch.recipe, batch.steps, batch.backbone_title);
    this.put(batch, picture);
    this.page.stage.draw();
    this.page.ask();
  }

  put(batch, picture) {
    const { page } = this;
    if (!sameNumber(batch, page.state.batch)) {
      this.drop();
      this.pane.progress(null);
      this.pane.fail("The features to compare must come from the same images.");
      return;
    }
    this.loading = false;
    this.batch = batch;
    this.picture = picture;
    this.view = this.difference = null;
    this.patches = patchCount(batch);
    this.pair();
    this.sayLook();
    this.pane.progress(null);
    this.pane.fail("");
    // Features that came without pictures are shown on the first's.
    if (batch.recipe.pictures === false) this.mosaic.setBatch(batch, page.picture, page.state.batch);
    else this.mosaic.setBatch(batch, picture);
    this.setStale(true);
    if (this.settings.edited === "second") page.controls.setBatch(batch);
    this.maps.setBatch(batch, picture);
  }

  pair() {
    const first = this.page.state.batch;
    this.forward = holding(first, this.batch);
    this.backward = holding(this.batch, first);
    this.pulledFrom = null;
  }

  /** The server's answer to a request for both; `asked` is what was asked for beside. */
  take(reply, asked) {
    if (!this.kind || !asked || asked.batch !== this.batch?.batch) return;
    const refused = reply.beside_refused;
    this.pane.fail(refused?.error ?? "");
    if (refused) {
      this.view = this.difference = this.page.state.difference = null;
      this.table.element.hidden = true;
      if (refused.gone && this.kind === "features" && !this.loading) this.load(this.wanted);
      else this.settings.refuse(refused);
      return;
    }
    this.view = { ...readView(reply.beside.view, this.patches), anchor: reply.beside.anchor, settings: asked.settings };
    if (!this.loading && JSON.stringify(asked) === JSON.stringify(this.request)) this.setStale(false);
  }

  /** Work out what changes at the step that is shown, before anything is drawn. */
  update() {
    const { state } = this.page;
    const { view, rivalView, step } = state;
    state.difference = null;
    if (!view) return;
    if (this.view) {
      const before = view.codes[step];
      const after = this.view.codes[this.step];
      state.difference = change(before, after, { partnersAfter: this.forward });
      this.difference = change(before, after, { partnersBefore: this.backward });
    } else if (rivalView) {
      state.difference = change(view.codes[step], rivalView.codes[stepBeside(step, view, rivalView)]);
    }
  }

  /** What stands above the panes, and the numbers of both. */
  showNumbers() {
    const { view, step, batch, anchor, difference } = this.page.state;
    if (!this.view) return;
    const other = JSON.stringify(batch.grids) !== JSON.stringify(this.batch.grids);
    const same = this.kind === "features" && this.batch.batch === batch.batch;
    this.table.show({ view, step }, { view: this.view, step: this.step }, difference, { labels: batch.labels, other, same, linked: !this.settings.own }, anchor);
    if (!this.histogram.element.isConnected) this.histograms.append(this.histogram.element);
    this.page.histogram.heading.textContent = "Similarity to the first proxy";
    this.histogram.setView(this.view, this.step);
    this.maps.recolourSoon();
  }

  /** What the patch under the pointer is among the second features; "" where there is nothing. */
  says(patch) {
    if (!this.view || patch === null) return "";
    return `to the second ${fixed(cosine(this.view.levels[this.step][patch]), 2)}`;
  }

  /** The second sets in words. */
  words() {
    if (!this.view) return "";
    const { positive, ambiguous, negative } = this.view.steps[this.step];
    return ` Second: ${positive} positive, ${ambiguous} ambiguous, ${negative} negative.`;
  }

  titles() {
    const { batch } = this.page.state;
    const second = !this.batch ? "other features" : this.kind === "same" ? "the same, other settings" : this.batch.backbone_title;
    return { first: `First: ${batch?.backbone_title ?? ""}`, second: `Second: ${second}` };
  }

  /** Say where the second features are drawn under another overlay than the first. */
  sayLook() {
    const reason = this.batch ? whyNotBeside(styleOf(this.page.state.look.style), this.batch) : "";
    this.pane.say(reason && `${reason} The sets are shown instead.`);
  }

  /** Until the second's new sets are there, nothing old may pass for them. */
  setStale(stale) {
    this.pane.element.classList.toggle("stale", stale);
    if (stale) this.mosaic.element.dataset.ready = "false";
  }

  /** What a click would gather first among the second features. */
  async preview(patch) {
    const { batch } = this;
    if (!batch) return;
    const own = this.toSecond(patch);
    let reply;
    try {
      reply = await call(this.page.server, "preview", { batch: batch.batch, anchor: own, phi0: this.settings.values.phi0 });
    } catch {
      return;
    }
    if (this.batch !== batch || this.page.state.hovered !== patch) return;
    const [codes] = unpackCodes(reply.codes, this.patches, 1);
    this.mosaic.preview = { patch: this.mosaic.hovered, codes };
    this.mosaic.drawGlass();
  }
}
