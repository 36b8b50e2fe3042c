// Whose settings the sliders show where two sets of features stand side by side: those of both, of the
// first or of the second.
import { choice, h } from "../shared/dom.js";

const WHOSE = [
  ["both", "Both", "The same settings for both"],
  ["first", "First", "Settings of the first features only"],
  ["second", "Second", "Settings of the second features only"],
];

export class BesideSettings {
  /** page: the Explore page; second(): the second batch, or null. */
  constructor(page, second) {
    this.page = page;
    this.second = second;
    this.own = null; // the second's; null: those of the first
    this.edited = "both";
    this.whose = choice("Settings of", WHOSE, "both", (key) => this.edit(key));
    this.element = h("div", { class: "field whose", hidden: true }, h("span", { class: "label" }, "Settings of"), this.whose.group);
  }

  /** The second's settings. */
  get values() {
    return this.own ?? this.page.state.settings;
  }

  /** The batch whose settings the sliders show. */
  get batch() {
    return (this.edited === "second" ? this.second() : null) ?? this.page.state.batch;
  }

  /** Back to one set, or to what a link says: {settings or null, edited}. */
  adopt({ settings = null, edited = "both" } = {}) {
    this.own = settings;
    this.edited = edited;
    this.whose.set(edited);
    this.page.controls.set(edited === "second" ? settings : this.page.state.settings);
  }

  /** Show the settings of "both", the "first" or the "second". */
  edit(whose) {
    const { controls, state, config } = this.page;
    this.own = whose === "both" ? null : { ...this.values };
    this.edited = whose;
    this.whose.set(whose);
    controls.setBatch(this.batch ?? { preset: config.default_preset });
    controls.set(whose === "second" ? this.own : state.settings);
    if (state.view) this.page.ask();
  }

  /** Settings were moved: whether they are the second's. */
  takes(settings) {
    if (this.edited !== "second" || this.element.hidden) return false;
    this.own = settings;
    return true;
  }

  /** A refusal of the second's settings, at the slider where it is seen. */
  refuse({ field, error }) {
    if (this.edited === "second" && field in this.page.controls.fields) this.page.controls.fail(field, error);
  }
}
