// Continuous colours, the same as in ppap/studio/explore/looks/scales.py.
import { h } from "../../shared/dom.js";

/** Every eighth colour of matplotlib's cividis, which is read alike with and without colour vision. */
const CIVIDIS =
  "00224e00285b002e6a0433711a386f273e6e32436d3b496c434e6c4b546c52596d5a5f6e61656f686a716f70737576767c7b78" +
  "8481798b8778938d789b9376a39a75aba072b3a670bbad6cc3b469ccba64d4c15fddc958e6d051efd748f8df3cfee838";

const STOPS = CIVIDIS.match(/../g).map((pair) => parseInt(pair, 16));
const LAST = STOPS.length / 3 - 1;

/** 0 to 1 → [red, green, blue], dark blue to yellow; beyond, the nearer end. */
export function cividis(x) {
  const at = Math.max(0, Math.min(1, x)) * LAST;
  const below = Math.min(LAST - 1, Math.floor(at));
  const share = at - below;
  return [0, 1, 2].map((c) => Math.round(STOPS[3 * below + c] * (1 - share) + STOPS[3 * below + 3 + c] * share));
}

export const css = (colour) => `rgb(${colour.slice(0, 3).join(",")})`;

/** A bar of a scale's colours with numbers below it: `ticks` stand at even distances. */
export function scaleLegend(title, ticks, colour = cividis) {
  const bar = h("i", { class: "scale" });
  bar.style.background = `linear-gradient(to right, ${Array.from({ length: 17 }, (_, i) => css(colour(i / 16))).join(",")})`;
  return [h("span", { class: "chip scaled" }, title, h("span", { class: "ruler" }, bar, h("span", { class: "ticks" }, ticks.map((tick) => h("small", {}, tick)))))];
}

/** A chip with a colour and what it stands for. */
export function swatch(colour, ...text) {
  const square = h("i", {});
  square.style.background = css(colour);
  return h("span", { class: "chip" }, square, ...text);
}
