// Clusters of the batch's features, each in its colour.
import { bytes } from "../../shared/codec.js";
import { count, h, newId } from "../../shared/dom.js";
import { described, instead } from "./described.js";
import { optionsOf } from "./options.js";
import { swatch } from "./scales.js";
import { tint } from "./tint.js";

const LEAST = 2;
const MOST = 64;
const read = (reply) => ({ ...reply, labels: bytes(reply.labels) });
const fine = (number) => Number.isInteger(number) && number >= LEAST && number <= MOST;
const found = (state) => described(state, "clusters", optionsOf(clusters, state), read);

export const clusters = {
  key: "clusters",
  title: "Clusters",
  help: "Clusters of all features in the batch (spherical k-means)",
  group: "Features",
  onMap: true,
  options: { count: 8 },
  fits: ({ count: number }, batch) => ({ count: Math.min(number, batch.starts.at(-1)) }),
  read: (name, text) => (fine(Number(text)) ? Number(text) : undefined),
  colours(state) {
    const here = found(state);
    return here && tint(here.labels.length, state.look.opacity, (j) => here.colours[here.labels[j]]);
  },
  legend(state) {
    const here = found(state);
    if (!here) return instead(state, "clusters", optionsOf(clusters, state), "Clustering…");
    const classes = state.batch.labels ? majorities(here, state.batch) : [];
    return [h("span", { class: "chip" }, "Patches in each cluster"), ...here.sizes.map((size, i) => swatch(here.colours[i], `${i + 1}: ${count(size)}${classes[i] ?? ""}`))];
  },
  says(state, patch) {
    const here = found(state);
    return here ? `cluster ${here.labels[patch] + 1}` : "";
  },
  controls(state, act) {
    const id = newId("clusters");
    const field = h("input", { id, type: "number", min: String(LEAST), max: String(MOST), step: "1", value: String(optionsOf(clusters, state).count), dataset: { option: "count" } });
    field.addEventListener("input", () => {
      const number = Number(field.value);
      field.setAttribute("aria-invalid", String(!fine(number)));
      if (fine(number)) act.set({ count: number });
    });
    return [h("label", { for: id }, "Clusters"), field, h("span", { class: "help" }, `${LEAST} to ${MOST}`)];
  },
};

/** Of each cluster its most frequent class and how much of it that is. */
function majorities({ labels, sizes }, batch) {
  const tallies = sizes.map(() => new Map());
  labels.forEach((cluster, j) => {
    const label = batch.labels[j];
    if (label >= 0) tallies[cluster].set(label, (tallies[cluster].get(label) ?? 0) + 1);
  });
  return tallies.map((tally) => {
    const total = [...tally.values()].reduce((sum, number) => sum + number, 0);
    const [label, number] = [...tally].reduce((best, one) => (one[1] > best[1] ? one : best), [-1, 0]);
    return label < 0 ? "" : `, ${batch.classes[label]} ${Math.round((100 * number) / total)} %`;
  });
}
