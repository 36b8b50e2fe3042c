// More than the one anchor: those that are kept, every patch as the anchor, and what a lasso holds.
import { Kept } from "./kept.js";
import { KeptCard } from "./keptcard.js";
import { LassoCard } from "./lassocard.js";
import { samePlace } from "./pairing.js";
import { RightBar } from "./rightbar.js";
import { patchAt, whereIs } from "./tiles.js";
import { thumb } from "./thumb.js";
import { Trust } from "./trust.js";
import { TrustBar } from "./trustbar.js";
import { Worth } from "./worth.js";

export class Anchors {
  /** page is Explore, whose map, toolbar and stage are there already. */
  constructor(page, server, config) {
    this.page = page;
    this.config = config;
    this.state = page.state;
    Object.assign(page.state, { kept: [], trust: null });
    const getState = () => page.state;
    const onPick = (patch) => page.pick(patch);
    const cut = (patch) => thumb(page.state.batch, this.picture, patch);
    this.kept = new Kept(server, { getState, onPick, onChange: () => this.keptChanged(), say: (text) => page.stage.fail(text) });
    this.keptCard = new KeptCard({ getState, onPick, thumb: cut, onRemove: (slot) => this.kept.remove(slot), onClear: () => this.kept.clear(), onStyle: (style) => page.setLook({ style }) });
    this.trust = new Trust(server, config.page, { getState, wanted: () => this.looksAtEvery, onChange: () => this.trustChanged() });
    this.trustBar = new TrustBar(this.trust, (by) => this.worth.go(by));
    this.worth = new Worth(this.trust, { getState, onPick, thumb: cut, onOpen: () => this.bar.choose("worth") });
    this.lasso = new LassoCard(server, getState);
    page.map.element.querySelector(".card-body").append(this.lasso.element);
    this.bar = new RightBar(
      [
        ["map", "Map", page.beside.maps.element],
        ["worth", "Worth a look", this.worth.element],
        ["kept", "Kept", this.keptCard.element],
      ],
      (key) => {
        if (key === "kept") this.keptCard.show();
        this.trust.follow();
      },
    );
    this.bar.element.addEventListener("keydown", (event) => this.key(event));
    page.compare.element.after(this.kept.strip);
    page.stage.classes.before(this.trustBar.element);
  }

  /** Whether anything is shown that needs every anchor. */
  get looksAtEvery() {
    return this.state.look.style === "trust" || this.bar.chosen === "worth";
  }

  /**
   * kept: [image, row, column] of kept anchors by colour, null where one is free; where it is left out,
   * they stay on the same images, at whichever resolution.
   */
  setBatch(batch, picture, { kept, measure } = {}) {
    const stay = this.staying(batch);
    this.batch = batch;
    this.picture = picture;
    const known = this.config.measures.find(({ key }) => key === measure);
    this.trust.setBatch();
    this.trust.measure = known && (batch.labels || !known.labels) ? measure : null;
    this.worth.setBatch(batch);
    this.lasso.show();
    this.kept.set(kept ? distinct(kept.map((where) => where && patchAt(batch, where))) : stay);
  }

  /** The kept anchors where the next batch has them, by colour. */
  staying(next) {
    const { batch } = this;
    const { patches } = this.kept;
    if (!batch) return [];
    if (alike(batch, next)) return patches;
    const places = distinct(patches.map((patch) => (patch === null ? null : samePlace({ batch, anchor: patch }, next))));
    return places.some((place) => place !== null) ? places : [];
  }

  /** The view is new: kept anchors and the survey are asked for only where settings changed. */
  follow() {
    this.kept.follow();
    this.trust.follow();
  }

  /** Another step is shown, or another view. */
  showStep() {
    if (this.bar.chosen === "kept") this.keptCard.showSoon();
    this.worth.mark();
  }

  lookChanged() {
    this.keptCard.overlay.set(this.state.look.style);
    this.trustBar.show(this.state.look.style === "trust");
    this.trust.follow();
  }

  keptChanged() {
    const { kept, batch } = this.state;
    const many = kept.filter(Boolean).length;
    this.bar.note("kept", many ? String(many) : "");
    if (this.bar.chosen === "kept") this.keptCard.show();
    this.page.stage.own.element.dataset.kept = this.kept.patches.map((patch) => (patch === null ? "" : whereIs(batch, patch).join(","))).join(";");
    this.page.stage.showLegend();
    this.page.stage.invalidate();
    if (this.state.view) this.page.remember();
  }

  trustChanged() {
    const shown = this.state.look.style === "trust";
    this.trustBar.show(shown);
    this.worth.show();
    const { trust } = this.state;
    const seen = trust && `${trust.text} ${trust.measure}`;
    this.page.stage.own.element.dataset.trust = trust ? `${trust.measure} ${trust.finished ? "whole" : "coarse"}` : "";
    if (shown && seen !== this.seen) this.page.fetched();
    this.seen = seen;
  }

  /** What requests for files carry of it. */
  get exported() {
    const { selection } = this.state;
    return { kept: this.kept.patches, lasso: selection.size ? [...selection] : null, measure: this.trust.shownMeasure ?? null };
  }

  /** What the address says of it. */
  get linked() {
    const { batch, look } = this.state;
    const kept = this.kept.patches.map((patch) => (patch === null ? null : whereIs(batch, patch)));
    return { kept, measure: look.style === "trust" ? (this.trust.shownMeasure ?? this.trust.measure) : null };
  }

  /** The keys that lead from anchor to anchor work beside the mosaic, too. */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const { keep, worth } = this.actions();
    const action = { k: keep, n: () => worth(1), p: () => worth(-1) }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  /** What keys do. */
  actions() {
    return {
      keep: () => this.kept.toggle(this.state.anchor),
      letGo: () => this.kept.clear(),
      worth: (by) => this.worth.go(by),
    };
  }
}

/** Whether two batches are the same images with the same patches, whatever their features. */
const alike = (a, b) => [a.names, a.grids].every((value, i) => JSON.stringify(value) === JSON.stringify([b.names, b.grids][i]));

/** A link may name a patch twice, or one that this batch does not have. */
function distinct(patches) {
  return patches.map((patch, i) => (patch === null || patch === undefined || patches.indexOf(patch) < i ? null : patch));
}
