// How similar every patch is to the proxy of the step.
import { cosine } from "../../shared/codec.js";
import { cividis, scaleLegend } from "./scales.js";
import { tint } from "./tint.js";

export const LEAST = -0.2;

/** Colour of a cosine: −0.2 or less dark blue, 1 yellow. */
export const ofCosine = (value) => cividis((value - LEAST) / (1 - LEAST));

/** The colours of similarities, with numbers. */
export const similarityLegend = () => scaleLegend("Similarity to the proxy", ["≤ −0.2", "0.1", "0.4", "0.7", "1"]);

const OF_LEVEL = Array.from({ length: 256 }, (_, level) => ofCosine(cosine(level)));

export const similarity = {
  key: "similarity",
  title: "Similarity",
  help: "Similarity to the proxy of this step",
  group: "Features",
  grey: true,
  colours({ look }, view, step) {
    const levels = view.levels[step];
    return tint(levels.length, look.opacity, (j) => OF_LEVEL[levels[j]]);
  },
  legend: similarityLegend,
};
