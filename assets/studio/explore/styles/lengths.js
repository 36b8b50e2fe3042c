// The length of every feature before it is normalised; those that stand out are framed and named.
import { float32 } from "../../shared/codec.js";
import { count, h } from "../../shared/dom.js";
import { imageOf } from "../tiles.js";
import { described, instead } from "./described.js";
import { cividis, scaleLegend } from "./scales.js";
import { tint } from "./tint.js";

const NAMED = 4; // images that are named one by one
const read = (reply) => ({ ...reply, lengths: float32(reply.lengths) });
const found = (state) => described(state, "lengths", {}, read);

/** A length with three digits. */
const told = (value) => String(Number(value.toPrecision(3)));

export const lengths = {
  key: "lengths",
  title: "Length",
  help: "The length of each feature before it is normalised, with outliers framed",
  group: "Features",
  grey: true,
  onMap: true,
  unavailable: (batch) => (batch.lengths ? "" : "The lengths of these features are not known."),
  colours(state) {
    const here = found(state);
    if (!here) return null;
    const { lengths: values, low, high } = here;
    return tint(values.length, state.look.opacity, (j) => cividis((values[j] - low) / (high - low)));
  },
  legend(state, act) {
    const here = found(state);
    if (!here) return instead(state, "lengths", {}, "Measuring the features…");
    const { low, high } = here;
    const ticks = [0, 1 / 3, 2 / 3, 1].map((share) => told(low + share * (high - low)));
    return [...scaleLegend("Feature length", ticks), ...outliers(state, here, act)];
  },
  marked: (state) => found(state)?.outliers ?? [],
  says: (state, patch) => {
    const here = found(state);
    return here ? `length ${told(here.lengths[patch])}` : "";
  },
};

/** Where outliers are, in words, and a button that goes from one to the next. */
function outliers(state, { outliers: patches, threshold }, act) {
  const { batch } = state;
  if (!patches.length) return [h("span", { class: "chip" }, `no outliers: no feature is longer than ${told(threshold)}`)];
  const inImages = new Map();
  for (const patch of patches) inImages.set(imageOf(batch, patch), (inImages.get(imageOf(batch, patch)) ?? 0) + 1);
  const images = [...inImages].map(([image, number]) => `${batch.names[image]} (${number})`);
  const rest = images.length - NAMED;
  const named = rest > 0 ? `${images.slice(0, NAMED).join(", ")} and ${rest} more` : images.join(", ");
  const say = `${count(patches.length)} outlier ${patches.length === 1 ? "patch" : "patches"} longer than ${told(threshold)}: ${named}`;
  const next = () => act.pick(patches.find((patch) => patch > state.anchor) ?? patches[0]);
  return [
    h("span", { class: "chip marked", title: "As anchors, outliers gather each other: large ViTs use such patches to store information about the whole image" }, h("i", {}), say),
    h("button", { type: "button", class: "quiet", onclick: next }, "Next outlier"),
  ];
}
