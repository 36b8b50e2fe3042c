// The positives of the kept anchors: each in its colour, of any of them, of all of them.
import { POSITIVE } from "../../shared/codec.js";
import { h } from "../../shared/dom.js";
import { COLOURS, codesAt, ready, tally } from "../kept.js";
import { cividis, scaleLegend, swatch } from "./scales.js";
import { tint } from "./tint.js";

const NONE = "Keep an anchor first: Shift-click a patch, or press k.";
const SHARE = 0.85;

export const anchors = {
  key: "anchors",
  title: "Kept anchors",
  help: "The positives of each kept anchor in its colour, mixed where they overlap",
  group: "Sets",
  onMap: true,
  ofFirst: true,
  colours(state) {
    const kept = ready(state).map((one) => ({ colour: COLOURS[one.slot], codes: codesAt(one, state.step) }));
    if (!kept.length) return null;
    return tint(kept[0].codes.length, state.look.opacity, (j) => {
      const colours = kept.filter(({ codes }) => codes[j] === POSITIVE).map(({ colour }) => colour);
      return colours.length ? [...mixed(colours), SHARE] : null;
    });
  },
  legend: (state) => (ready(state).length ? ready(state).map((one) => swatch(COLOURS[one.slot], `P of ${one.slot + 1}`)) : [h("span", { class: "chip" }, NONE)]),
};

const mixed = (colours) => [0, 1, 2].map((c) => Math.round(colours.reduce((sum, colour) => sum + colour[c], 0) / colours.length));

/** By how many anchors have the patch: the more, the lighter. */
export const union = {
  key: "union",
  title: "Union of P",
  help: "Patches that are positive for any kept anchor, coloured by how many",
  group: "Sets",
  onMap: true,
  ofFirst: true,
  grey: true,
  colours: (state) => counted(state, 1),
  legend(state) {
    const most = ready(state).length;
    if (!most) return [h("span", { class: "chip" }, NONE)];
    if (most === 1) return [swatch(cividis(1), "in P of the kept anchor")];
    const ticks = Array.from({ length: most }, (_, i) => String(i + 1));
    return scaleLegend("Number of kept anchors with the patch in P", ticks, (x) => level(1 + x * (most - 1), most));
  },
};

export const intersection = {
  key: "intersection",
  title: "Intersection of P",
  help: "Patches that are positive for every kept anchor",
  group: "Sets",
  onMap: true,
  ofFirst: true,
  grey: true,
  colours: (state) => counted(state, ready(state).length),
  legend: (state) => (ready(state).length ? [swatch(cividis(1), `in P of all ${ready(state).length} kept anchors`)] : [h("span", { class: "chip" }, NONE)]),
};

const level = (n, most) => cividis(n / most);

function counted(state, least) {
  const most = ready(state).length;
  if (!most) return null;
  const found = tally(state);
  return tint(found.length, state.look.opacity, (j) => (found[j] >= least ? level(found[j], most) : null));
}
