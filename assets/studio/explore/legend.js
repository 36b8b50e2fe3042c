// What colours mean: classes of the label maps, and the scale of similarities.
import { h } from "../shared/dom.js";
import { heat } from "./overlay.js";

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

/** The colours of similarities, from −0.2 to 1. */
export function similarityLegend() {
  const bar = h("i", { class: "scale" });
  const stops = Array.from({ length: 9 }, (_, i) => rgb(heat((-0.2 + (1.2 * i) / 8 + 1) * 127.5)));
  bar.style.background = `linear-gradient(to right, ${stops.join(",")})`;
  return [h("span", { class: "chip" }, "similarity −0.2 or less", bar, "1")];
}
