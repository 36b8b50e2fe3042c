// Below the tools: the parameters of the chosen overlay style, such as the number of clusters.
import { h } from "../shared/dom.js";
import { styleOf, whyNot } from "./styles/index.js";

export class StyleOptions {
  constructor() {
    this.element = h("div", { class: "tools style-options", role: "group", hidden: true });
  }

  /** Built anew for another style or batch only: a field that is being typed in stays. */
  show(state, act) {
    const { batch, look } = state;
    const style = styleOf(look.style);
    const fits = batch && !whyNot(style, batch);
    if (this.style === style && this.batch === batch && this.act) return;
    Object.assign(this, { style, batch, act });
    const controls = (fits && style.controls?.(state, act)) || [];
    this.element.hidden = controls.length === 0;
    this.element.setAttribute("aria-label", `${style.title}: options`);
    this.element.replaceChildren(...controls);
  }

  /** Options came from elsewhere than these controls, such as a link or a click on a patch. */
  forget() {
    this.style = null;
  }
}
