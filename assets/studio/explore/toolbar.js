// Above the mosaic: the legend that switches sets on and off, and how they are drawn.
import { count, h, newId } from "../shared/dom.js";
import { StyleOptions } from "./styleoptions.js";
import { StylePicker } from "./stylepicker.js";

export const SETS = [
  ["positive", "Positive", "More similar to the proxy than Φ: taken to show the same thing as the anchor"],
  ["ambiguous", "Ambiguous", "Between Ψ and Φ: may or may not show the same thing, so training leaves it out"],
  ["negative", "Negative", "Less similar to the proxy than Ψ: taken to show something else"],
];

export class Toolbar {
  /** on: {look(changes), toggle(set), zoom(factor), fit(), keys(), take(), tour(), notes()}; `compare` is an element. */
  constructor(look, compare, on) {
    this.legendId = newId("legend");
    this.chips = {};
    for (const [i, [set, title, meaning]] of SETS.entries()) {
      const number = h("b", {}, "–");
      const attributes = { type: "button", class: `chip ${set}`, title: `${meaning}. Click to show or hide (${i + 1})`, onclick: () => on.toggle(set) };
      this.chips[set] = { number, button: h("button", attributes, h("i", {}), `${title} `, number) };
    }
    this.style = new StylePicker(look.style, (style) => on.look({ style }));
    this.options = new StyleOptions();
    const opacityId = newId("opacity");
    this.opacity = h("input", { id: opacityId, type: "range", min: "0", max: "1", step: "0.05", oninput: () => on.look({ opacity: Number(this.opacity.value) }) });
    this.grid = h("button", { type: "button", class: "toggle", title: "Grid (g)", onclick: () => on.grid() }, "Grid");
    const button = (text, title, act) => h("button", { type: "button", title, "aria-label": title, onclick: act }, text);
    const marks = [
      h("span", { class: "chip anchor", title: "The patch we ask about: which others show the same thing? Click any patch to make it the anchor" }, h("i", {}), "Anchor"),
      h("span", { class: "chip proxy", title: "The proxy starts at the anchor and moves to the mean of the positives; this is the patch most similar to it" }, h("i", {}), "Nearest to proxy"),
    ];
    this.element = h(
      "div",
      { class: "toolbar" },
      h("div", { class: "legend", id: this.legendId, role: "group", "aria-label": "Sets" }, SETS.map(([set]) => this.chips[set].button), marks),
      h(
        "div",
        { class: "tools" },
        this.style.element,
        h("div", { class: "opacity" }, h("label", { for: opacityId }, "Opacity"), this.opacity),
        this.grid,
        h("div", { class: "zoom", role: "group", "aria-label": "Zoom" }, button("−", "Zoom out (−)", () => on.zoom(1 / 1.4)), button("Fit", "Fit (0)", on.fit), button("+", "Zoom in (+)", () => on.zoom(1.4))),
      ),
      this.options.element,
      h("div", { class: "tools" }, compare, h("div", { class: "end" }, button("Tour", "Tour: PPAP in six steps", on.tour), button("Notes", "Notes: views saved under a name (s)", on.notes), button("?", "Keyboard shortcuts (?)", on.keys), h("button", { type: "button", class: "primary", onclick: on.take }, "Export"))),
    );
    this.show(look);
  }

  /** Make the controls say how things are drawn. */
  show(look) {
    for (const [set] of SETS) this.chips[set].button.setAttribute("aria-pressed", String(look.show[set]));
    this.style.set(look.style);
    this.opacity.value = String(look.opacity);
    this.opacity.style.setProperty("--share", `${100 * look.opacity}%`);
    this.grid.setAttribute("aria-pressed", String(look.grid));
  }

  setCounts(numbers) {
    for (const [set] of SETS) this.chips[set].number.textContent = count(numbers[set]);
  }

  /** What cannot be shown for a batch, such as label maps where there are none, is switched off. */
  setBatch(batch) {
    this.style.setBatch(batch);
  }
}
