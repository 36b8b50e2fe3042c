// Each patch by what happens when it is the anchor: precision of its positives, how far its proxy moves, …
import { fixed, h } from "../../shared/dom.js";
import { cividis, scaleLegend } from "./scales.js";
import { tint } from "./tint.js";

const SHARES = new Set(["precision", "recall", "false_negatives", "ambiguous_share"]);

/** A value of a measure as people read it. */
export function told(measure, value) {
  if (SHARES.has(measure)) return `${fixed(100 * value, value > 0 && value < 0.1 ? 1 : 0)} %`;
  return measure === "positives" ? Math.round(value).toLocaleString("en-US") : fixed(value, 2);
}

export const trust = {
  key: "trust",
  title: "Trust",
  help: "Each patch coloured by what happens when it is the anchor: precision, how far its proxy moves, …",
  group: "Sets",
  grey: true,
  onMap: true,
  ofFirst: true,
  colours({ trust: found, look }) {
    if (!found) return null;
    const { values, low, high } = found;
    return tint(values.length, look.opacity, (j) => (Number.isNaN(values[j]) ? null : cividis((values[j] - low) / (high - low))));
  },
  legend({ trust: found }) {
    if (!found) return [];
    const { measure, low, high, title, values } = found;
    const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => told(measure, low + share * (high - low)));
    const bare = values.some(Number.isNaN) ? [h("span", { class: "chip" }, "no colour: nothing to measure")] : [];
    return [...scaleLegend(measure === "positives" ? `${title}, patches` : title, ticks), ...bare];
  },
  says({ trust: found }, patch) {
    const value = found?.values[patch];
    return value === undefined || Number.isNaN(value) ? "" : `as anchor: ${found.title.toLowerCase()} ${told(found.measure, value)}`;
  },
};
