// Pages of pictures, where there are more than fit on one.
import { count, h } from "../shared/dom.js";

export class Pager {
  /** turn(start): another page is asked for, by its first picture's number. */
  constructor(turn) {
    const button = (text, label, step) => h("button", { type: "button", "aria-label": label, title: label, onclick: () => turn(this.start + step * this.perPage) }, text);
    this.back = button("‹", "Previous images", -1);
    this.on = button("›", "Next images", 1);
    this.text = h("span", { role: "status" });
    this.element = h("div", { class: "pager inline", hidden: true }, this.back, this.text, this.on);
  }

  show({ start, per_page: perPage, total }) {
    Object.assign(this, { start, perPage });
    this.element.hidden = total <= perPage;
    this.back.disabled = start === 0;
    this.on.disabled = start + perPage >= total;
    this.text.textContent = `${count(start + 1)} to ${count(Math.min(start + perPage, total))} of ${count(total)}`;
  }
}
