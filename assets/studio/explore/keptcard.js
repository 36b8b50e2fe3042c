// The kept anchors one by one, and what their positives have in common.
import { POSITIVE } from "../shared/codec.js";
import { card, choice, count, h, percent } from "../shared/dom.js";
import { badge, codesAt, tally } from "./kept.js";
import { whereIs } from "./tiles.js";

const AFTER_MS = 120;
const OVERLAYS = [
  ["anchors", "Each", "Each anchor's positives in its colour"],
  ["union", "Union", "Patches that are positive for any of them, coloured by how many"],
  ["intersection", "Intersection", "Patches that are positive for all of them"],
];

export class KeptCard {
  /** hooks: {getState(), onPick(patch), onRemove(slot), onClear(), onStyle(style), thumb(patch)}. */
  constructor(hooks) {
    this.hooks = hooks;
    this.clear = h("button", { type: "button", class: "quiet", title: "Remove all kept anchors (Shift and k)", onclick: () => hooks.onClear() }, "Remove all");
    const { card: element, body } = card("Kept anchors", { class: "card kept" }, this.clear);
    this.list = h("ul", { class: "kept-list" });
    this.overlay = choice("Show on the mosaic", OVERLAYS, "", (style) => hooks.onStyle(style));
    this.total = h("p", { class: "kept-total" });
    this.table = h("table", { class: "overlap" });
    this.key = h("p", { class: "help" });
    this.filled = h("div", { class: "kept-filled", hidden: true }, this.list, this.overlay.group, this.total, h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Overlap of kept anchors" }, this.table), this.key);
    this.empty = h("p", { class: "help" }, "Keep up to eight anchors to see what their positives have in common: Shift-click a patch, or press k to keep the current anchor.");
    body.append(this.empty, this.filled);
    this.element = element;
  }

  /** Once things have been quiet for a moment: clicks come first. */
  showSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.show(), AFTER_MS);
  }

  show() {
    clearTimeout(this.timer);
    const state = this.hooks.getState();
    if (!state.batch) return;
    const kept = state.kept.filter(Boolean);
    this.filled.hidden = this.clear.hidden = kept.length === 0;
    this.empty.hidden = kept.length > 0;
    this.overlay.set(state.look.style);
    if (!kept.length) return;
    this.list.replaceChildren(...kept.map((one) => this.row(state, one)));
    this.showOverlap(state, kept.filter((one) => one.codes));
  }

  row(state, one) {
    const { batch } = state;
    const [image, row, column] = whereIs(batch, one.patch);
    const numbers = one.steps?.[Math.min(state.step, one.steps.length - 1)];
    const parts = numbers ? [`|P| ${count(numbers.positive)}`] : ["gathering…"];
    if (numbers && batch.labels) parts.push(`precision ${percent(numbers.precision)}`);
    const label = batch.labels?.[one.patch] ?? -1;
    const place = `${batch.names[image]} · ${row}, ${column}${label >= 0 ? ` · ${batch.classes[label]}` : ""}`;
    const go = h("button", { type: "button", class: "kept-go", title: "Make it the anchor", onclick: () => this.hooks.onPick(one.patch) }, badge(one.slot), this.hooks.thumb(one.patch), h("span", {}, h("span", { class: "place" }, place), h("span", { class: "numbers" }, parts.join(" · "))));
    const remove = h("button", { type: "button", class: "quiet", "aria-label": `Remove anchor ${one.slot + 1}`, title: "Remove", onclick: () => this.hooks.onRemove(one.slot) }, "✕");
    return h("li", {}, go, remove);
  }

  showOverlap(state, kept) {
    const inAll = tally(state);
    const union = inAll.reduce((sum, n) => sum + (n > 0), 0);
    const intersection = kept.length ? inAll.reduce((sum, n) => sum + (n === kept.length), 0) : 0;
    this.total.replaceChildren("Union ", h("b", {}, count(union)), " patches · Intersection ", h("b", {}, count(intersection)));
    this.element.dataset.union = String(union);
    this.element.dataset.intersection = String(intersection);
    const members = [...kept.map((one) => ({ head: () => badge(one.slot), codes: codesAt(one, state.step) })), ...this.present(state, kept)];
    const two = members.length > 1;
    this.table.hidden = this.key.hidden = !two;
    if (!two) return;
    const { common, jaccard } = overlaps(members.map((one) => one.codes));
    const cell = (i, j) => (i === j ? h("td", { class: "own" }, count(common[i][i])) : i < j ? h("td", {}, count(common[i][j])) : h("td", { class: "jaccard" }, jaccard[i][j] === null ? "–" : jaccard[i][j].toFixed(2)));
    const heads = members.map((one) => h("th", { scope: "col" }, one.head()));
    const rows = members.map((one, i) => h("tr", {}, h("th", { scope: "row" }, one.head()), members.map((_, j) => cell(i, j))));
    this.table.replaceChildren(h("thead", {}, h("tr", {}, h("td", {}), heads)), h("tbody", {}, rows));
    this.key.textContent = "Diagonal: |P|. Above it: |Pᵢ ∩ Pⱼ|. Below it: the Jaccard index |Pᵢ ∩ Pⱼ| / |Pᵢ ∪ Pⱼ|. All at the current step.";
  }

  /** The anchor that is looked at, where it is none of the kept. */
  present({ view, step }, kept) {
    if (!view || kept.some((one) => one.patch === view.anchor)) return [];
    const head = () => h("b", { class: "kept-badge present", title: "The current anchor" }, "•");
    return [{ head, codes: view.codes[Math.min(step, view.codes.length - 1)] }];
  }
}

/** Sizes of the intersections of positives, and their Jaccard indices; null where both are empty. */
function overlaps(codes) {
  const masks = new Uint16Array(codes[0].length);
  codes.forEach((one, i) => {
    for (let j = 0; j < masks.length; j++) if (one[j] === POSITIVE) masks[j] |= 1 << i;
  });
  const common = codes.map(() => codes.map(() => 0));
  for (const mask of masks) {
    if (!mask) continue;
    for (let i = 0; i < codes.length; i++) {
      if (!(mask & (1 << i))) continue;
      for (let j = 0; j < codes.length; j++) if (mask & (1 << j)) common[i][j]++;
    }
  }
  const jaccard = common.map((row, i) => row.map((both, j) => (common[i][i] + common[j][j] - both ? both / (common[i][i] + common[j][j] - both) : null)));
  return { common, jaccard };
}
