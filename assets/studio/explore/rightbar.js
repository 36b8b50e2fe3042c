// The cards beside the mosaic of which one is seen at a time: the map, anchors worth a look, kept ones.
import { h, newId } from "../shared/dom.js";

export class RightBar {
  /** tabs: [key, title, element] each; onChange(key) is called when another one is chosen. */
  constructor(tabs, onChange) {
    this.onChange = onChange;
    this.tabs = tabs.map(([key, title, element]) => {
      const id = newId("right");
      element.id ||= `${id}-panel`;
      element.setAttribute("role", "tabpanel");
      const button = h("button", { type: "button", id, role: "tab", "aria-controls": element.id, dataset: { tab: key }, onclick: () => this.choose(key) }, title);
      return { key, title, element, button };
    });
    this.strip = h("div", { class: "choice right-tabs", role: "tablist", "aria-label": "Beside the mosaic", onkeydown: (event) => this.along(event) }, this.tabs.map((tab) => tab.button));
    this.element = h("div", { class: "rightbar" }, this.strip, this.tabs.map((tab) => tab.element));
    this.show(tabs[0][0]);
  }

  show(key) {
    this.chosen = key;
    for (const tab of this.tabs) {
      const on = tab.key === key;
      tab.element.hidden = !on;
      tab.button.setAttribute("aria-selected", String(on));
      tab.button.tabIndex = on ? 0 : -1;
    }
  }

  choose(key) {
    if (this.chosen === key) return;
    this.show(key);
    this.onChange(key);
  }

  /** Arrow keys. */
  along(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const at = this.tabs.findIndex((tab) => tab.key === this.chosen);
    const next = this.tabs[(at + by + this.tabs.length) % this.tabs.length];
    this.choose(next.key);
    next.button.focus();
  }

  /** Something behind a title, such as how many there are. */
  note(key, text) {
    const { button, title } = this.tabs.find((tab) => tab.key === key);
    button.textContent = text ? `${title} (${text})` : title;
  }
}
