// The sets of the anchor, filled with their colours.
import { FILL, PALETTE, SET_OF } from "../overlay.js";
import { tint } from "./tint.js";

const FILLED = Object.fromEntries(
  Object.entries(SET_OF).map(([code, set]) => [code, set && [...PALETTE[set], FILL[set]]]),
);

export const sets = {
  key: "sets",
  title: "Sets",
  help: "Blue positive, amber ambiguous, dark negative",
  group: "Sets",
  colours({ look }, view, step) {
    const codes = view.codes[step];
    const shown = Array.from({ length: 4 }, (_, code) => (look.show[SET_OF[code]] ? FILLED[code] : null));
    return tint(codes.length, look.opacity, (j) => shown[codes[j]]);
  },
};
