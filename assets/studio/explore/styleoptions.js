// Below the tools: the parameters of the chosen overlay style, such as the number of clusters.
import { h } from "../shared/dom.js";
import { styleOf, whyNot } from "./styles/index.js";
import { optionsOf } from "./styles/options.js";

export class StyleOptions {
  constructor() {
    this.element = h("div", { class: "tools style-options", role: "group", hidden: true });
  }

  /** Built anew where they changed from elsewhere only: a field that is being typed in stays. */
  show(state, act) {
    const { batch, look } = state;
    const style = styleOf(look.style);
    const options = JSON.stringify(optionsOf(style, state));
    const same = this.style === style && this.batch === batch && (this.setting || this.options === options);
    Object.assign(this, { style, batch, options });
    if (same) return;
    const controls = (batch && !whyNot(style, batch) && style.controls?.(state, this.setter(act))) || [];
    this.element.hidden = controls.length === 0;
    this.element.setAttribute("aria-label", `${style.title}: options`);
    this.element.replaceChildren(...controls);
  }

  /** act, whose changes come from these controls, which show them already. */
  setter(act) {
    const set = (options) => {
      this.setting = true;
      try {
        act.set(options);
      } finally {
        this.setting = false;
      }
    };
    return { ...act, set };
  }
}
