// What colours mean: the classes of the label maps.
import { h } from "../shared/dom.js";

const rgb = (colour) => `rgb(${colour.join(",")})`;

/** Chips with the classes that are present in a batch. */
export function classLegend(batch) {
  const present = [...new Set(batch.labels)].filter((label) => label >= 0).sort((a, b) => a - b);
  return present.map((label) => {
    const swatch = h("i", {});
    swatch.style.background = rgb(batch.colours[label]);
    return h("span", { class: "chip" }, swatch, batch.classes[label]);
  });
}
