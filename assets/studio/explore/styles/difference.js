// The positives that are gained and lost from the first sets to the second, or to a rule.
import { count, h } from "../../shared/dom.js";
import { GAINED, KEPT, LOST, tally } from "../difference.js";
import { swatch } from "./scales.js";
import { tint } from "./tint.js";

// Turquoise is far lighter than brown-red: told apart without colour, too.
export const CHANGES = [
  [GAINED, "Gained", [64, 224, 196], 0.9],
  [LOST, "Lost", [196, 52, 18], 0.85],
  [KEPT, "Positive in both", [61, 123, 255], 0.55],
];
const FILLED = [null];
for (const [code, , rgb, share] of CHANGES) FILLED[code] = [...rgb, share];

export const difference = {
  key: "difference",
  title: "Difference",
  help: "Positives gained and lost from the first sets to the second, or to another rule's",
  group: "Sets",
  live: true,
  colours({ difference: codes, look }) {
    return codes ? tint(codes.length, look.opacity, (j) => FILLED[codes[j]]) : null;
  },
  legend({ difference: codes, batch, anchor }) {
    if (!codes) return [h("span", {}, "Choose a rule or other features under “Compare with” to see what is gained and lost.")];
    return CHANGES.map(([code, title, rgb]) => {
      const { count: number, right } = tally(codes, code, batch.labels, anchor);
      const chip = swatch(rgb, `${title} ${count(number)}${right === null || !number ? "" : `, ${count(right)} correct`}`);
      chip.dataset.change = String(code);
      chip.title = right === null ? "" : "Correct: of the anchor's class";
      return chip;
    });
  },
};
