// The classes of the label maps, by patch.
import { classLegend } from "../legend.js";
import { tint } from "./tint.js";

export const labels = {
  key: "labels",
  title: "Labels",
  help: "Each patch's class in the label maps",
  group: "Labels",
  unavailable: (batch) => (batch.labels ? "" : "These images have no label maps."),
  colours: ({ batch, look }) =>
    batch.labels && tint(batch.labels.length, look.opacity, (j) => batch.colours[batch.labels[j]] ?? null),
  legend: ({ batch }) => (batch.labels ? classLegend(batch) : []),
};
