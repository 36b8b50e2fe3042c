// Which overlay is drawn: the usual ones as a row of buttons, the others in a menu beside them.
import { h, newId } from "../shared/dom.js";
import { STYLES, styleOf, whyNot } from "./styles/index.js";

const BESIDE = 4; // styles that need no menu

export class StylePicker {
  constructor(chosen, onPick) {
    this.onPick = onPick;
    this.reasons = new Map();
    const menuId = newId("styles");
    this.row = STYLES.slice(0, BESIDE).map((style) => this.button(style, "radio"));
    this.more = h("button", { type: "button", class: "more", "aria-haspopup": "menu", "aria-expanded": "false", "aria-controls": menuId, title: "More overlays", onclick: () => this.toggle() });
    this.items = STYLES.slice(BESIDE).map((style) => this.button(style, "menuitemradio", h("span", {}, style.help)));
    this.menu = h("div", { id: menuId, class: "style-menu", role: "menu", "aria-label": "More overlays", hidden: true, onkeydown: (event) => this.keys(event) }, this.grouped());
    this.menu.addEventListener("focusout", (event) => this.element.contains(event.relatedTarget) || this.close());
    const radios = h("div", { class: "radios", role: "radiogroup", "aria-label": "Overlay", onkeydown: (event) => this.along(event) }, this.row);
    this.element = h("div", { class: "choice styles" }, radios, this.items.length ? this.more : null, this.menu);
    document.addEventListener("pointerdown", (event) => this.element.contains(event.target) || this.close());
    this.set(chosen);
  }

  button(style, role, ...more) {
    const act = () => this.pick(style.key);
    return h("button", { type: "button", role, title: style.help, dataset: { value: style.key }, tabindex: "-1", onclick: act }, h("b", {}, style.title), ...more);
  }

  grouped() {
    const groups = [...new Set(STYLES.slice(BESIDE).map((style) => style.group))];
    return groups.map((group) =>
      h("div", { role: "group", "aria-label": group }, h("p", { "aria-hidden": "true" }, group), this.items.filter((item) => styleOf(item.dataset.value).group === group)),
    );
  }

  pick(key) {
    if (this.reasons.get(key)) return;
    this.close(true);
    this.set(key);
    this.onPick(key);
  }

  /** To the next or the one before, of those that can be shown. */
  step(by) {
    const open = [...this.row, ...this.items].map((button) => button.dataset.value).filter((key) => !this.reasons.get(key));
    this.pick(open[(open.indexOf(this.chosen) + by + open.length) % open.length]);
  }

  /** Say which one is drawn. */
  set(key) {
    this.chosen = key;
    for (const button of [...this.row, ...this.items]) button.setAttribute("aria-checked", String(button.dataset.value === key));
    const beside = this.row.find((button) => button.dataset.value === key);
    for (const button of this.row) button.tabIndex = button === (beside ?? this.row[0]) ? 0 : -1;
    this.more.classList.toggle("chosen", !beside);
    this.more.replaceChildren(beside ? "More" : styleOf(key).title, h("i", { "aria-hidden": "true" }, "▾"));
    this.more.setAttribute("aria-label", beside ? "More overlays" : `${styleOf(key).title}. More overlays`);
  }

  /** Which ones a batch has; the others say why they have nothing to show. */
  setBatch(batch) {
    for (const button of [...this.row, ...this.items]) {
      const style = styleOf(button.dataset.value);
      const reason = whyNot(style, batch);
      this.reasons.set(style.key, reason);
      button.setAttribute("aria-disabled", String(Boolean(reason)));
      button.title = reason || style.help;
      if (button.getAttribute("role") === "menuitemradio") button.lastChild.textContent = reason || style.help;
    }
  }

  /** Arrow keys in the row. */
  along(event) {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const open = this.row.filter((button) => !this.reasons.get(button.dataset.value));
    const next = open[(open.indexOf(event.target) + by + open.length) % open.length];
    next.focus();
    next.click();
  }

  toggle() {
    if (!this.menu.hidden) return this.close();
    this.menu.hidden = false;
    this.more.setAttribute("aria-expanded", "true");
    this.place();
    (this.items.find((item) => item.dataset.value === this.chosen) ?? this.items[0]).focus();
  }

  /** Within the window, however narrow it is. */
  place() {
    this.menu.style.left = "0";
    const box = this.menu.getBoundingClientRect();
    const over = Math.max(0, box.right - (document.documentElement.clientWidth - 8));
    this.menu.style.left = `${-Math.min(over, box.left - 8)}px`;
  }

  close(back = false) {
    if (this.menu.hidden) return;
    this.menu.hidden = true;
    this.more.setAttribute("aria-expanded", "false");
    if (back) this.more.focus({ preventScroll: true });
  }

  /** To the group beside this one, at the same height. */
  across(by) {
    const groups = [...this.menu.children].map((group) => [...group.querySelectorAll("button")]);
    const at = groups.findIndex((group) => group.includes(document.activeElement));
    const to = groups[(at + by + groups.length) % groups.length];
    to[Math.min(to.length - 1, groups[at].indexOf(document.activeElement))].focus();
  }

  /** Keys in the menu. */
  keys(event) {
    const at = this.items.indexOf(document.activeElement);
    const last = this.items.length - 1;
    const to = { ArrowDown: at === last ? 0 : at + 1, ArrowUp: at <= 0 ? last : at - 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") this.close(true);
    else if (event.key === "ArrowLeft" || event.key === "ArrowRight") this.across(event.key === "ArrowRight" ? 1 : -1);
    else if (to !== undefined) this.items[to].focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
