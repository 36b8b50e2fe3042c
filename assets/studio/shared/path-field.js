// A field for a path on the server: typed and completed, or chosen in the folder browser.
import { call, latestOnly } from "./client.js";
import { h, newId } from "./dom.js";
import { tellNotes } from "./folder-look.js";
import { folderBrowser } from "./folders.js";
import { recent, remember } from "./recent.js";

const COMPLETE_AFTER_MS = 120;
const LOOK_AFTER_MS = 450;

/**
 * Make an input one for paths. `element` holds the input, its button and what the folder seems to
 * be; it stands where the input stood.
 *
 * want: "folder", "checkpoint", "backbone" (NAME@ may stand before it) or "features"; extras():
 * words that may stand there instead of a path; chosen(path): one was chosen in the browser;
 * seen(look or null): what the folder in the field seems to be, which is said below the field where
 * `about` is true.
 */
export class PathField {
  constructor(server, input, { want = "folder", extras = () => [], chosen = null, seen = null, about = false } = {}) {
    Object.assign(this, { server, input, want, extras, chosen, seen, about });
    this.marked = -1;
    this.offers = [];
    this.list = h("ul", { id: newId("completions"), class: "completions", role: "listbox", "aria-label": "Completions", hidden: true });
    for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": this.list.id, autocomplete: "off", spellcheck: "false" })) input.setAttribute(name, value);
    this.button = h("button", { type: "button", class: "browse", title: "Choose on this server", onclick: () => this.browse() }, "Browse…");
    this.text = h("span");
    this.notes = h("details", { class: "more", hidden: true });
    this.said = h("div", { class: "help about", role: "status", hidden: true }, this.text, this.notes);
    this.element = h("div", { class: "path-field" }, h("div", { class: "inline" }, input, this.button), this.list, this.said);
    this.ask = latestOnly(() => this.complete());
    this.lookSoon = latestOnly(() => this.look());
    input.addEventListener("input", () => this.typed());
    input.addEventListener("focus", () => this.input.value || this.ask());
    input.addEventListener("blur", () => this.hide());
    input.addEventListener("keydown", (event) => this.key(event));
  }

  /** What is typed before the path, as in NAME@FILE. */
  get before() {
    return this.want === "backbone" ? (this.input.value.match(/^[\w.-]+@/)?.[0] ?? "") : "";
  }

  get path() {
    return this.input.value.slice(this.before.length);
  }

  remember() {
    const path = this.path.trim();
    if (!this.extras().includes(path)) remember(this.server, this.want, path);
  }

  // --- completions

  typed() {
    this.lookLater();
    if (this.taking) return;
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.ask(), COMPLETE_AFTER_MS);
  }

  async complete() {
    const text = this.path;
    const begun = text.toLowerCase();
    let paths = [];
    try {
      ({ paths } = await call(this.server, "complete_path", { text, want: this.want }));
    } catch {
      return; // whoever types on needs no word
    }
    const used = (await recent(this.server, this.want)).filter((one) => one.toLowerCase().startsWith(begun) && one !== text);
    const words = this.extras().filter((one) => one.startsWith(begun) && one !== text);
    if (text !== this.path || document.activeElement !== this.input) return;
    const known = new Map([...words, ...used.slice(0, text ? 3 : 6)].map((path) => [path, { path, kind: "known" }]));
    for (const one of paths) known.set(one.path, one);
    this.show([...known.values()].filter(({ path }) => path !== text));
  }

  show(offers) {
    this.offers = offers;
    this.list.replaceChildren(
      ...offers.map(({ path, kind }, i) =>
        h("li", { id: `${this.list.id}-${i}`, role: "option", "aria-selected": "false", title: path, onmousedown: (event) => this.take(i, event) }, h("span", { dir: "ltr" }, path), kind === "folder" ? "/" : ""),
      ),
    );
    this.list.hidden = offers.length === 0;
    this.input.setAttribute("aria-expanded", String(offers.length > 0));
    this.mark(-1);
  }

  hide() {
    clearTimeout(this.waiting);
    this.show([]);
  }

  mark(index) {
    this.marked = index;
    [...this.list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === index)));
    if (index < 0) this.input.removeAttribute("aria-activedescendant");
    else {
      this.input.setAttribute("aria-activedescendant", this.list.children[index].id);
      this.list.children[index].scrollIntoView({ block: "nearest" });
    }
  }

  take(index, event = null) {
    event?.preventDefault(); // the field keeps the focus
    const { path } = this.offers[index];
    this.put(path);
    this.hide();
  }

  /** As if it had been typed. */
  put(path) {
    this.taking = true;
    this.input.value = this.before + path;
    this.input.dispatchEvent(new Event("input", { bubbles: true }));
    this.input.dispatchEvent(new Event("change", { bubbles: true }));
    this.taking = false;
    this.input.scrollLeft = this.input.scrollWidth; // its end tells paths apart
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const count = this.offers.length;
    if (step && count) {
      event.preventDefault();
      const next = this.marked + step; // -1: what was typed
      this.mark(next >= count ? -1 : next < -1 ? count - 1 : next);
    } else if (event.key === "ArrowDown") {
      event.preventDefault();
      this.ask();
    } else if (this.marked >= 0 && (event.key === "Enter" || event.key === "Tab")) {
      if (event.key === "Enter") event.preventDefault();
      this.take(this.marked);
    } else if (event.key === "Escape" && count) {
      event.stopPropagation();
      this.hide();
    }
  }

  // --- the folder browser

  browse() {
    this.hide();
    const browser = folderBrowser(this.server, this.input.closest(".ppap"));
    const now = this.extras().includes(this.path.trim()) ? "" : this.path.trim();
    browser.open(now, this.want, (path) => {
      this.put(path);
      this.remember();
      this.chosen?.(path);
    });
  }

  // --- what the folder seems to be

  lookLater() {
    this.input.title = this.input.value;
    if (!this.about && !this.seen) return;
    this.said.hidden = true;
    clearTimeout(this.looking);
    this.looking = setTimeout(() => this.lookSoon(), LOOK_AFTER_MS);
  }

  async look() {
    const path = this.path.trim();
    let found = null;
    try {
      if (path && !this.extras().includes(path)) found = await call(this.server, "look_at_folder", { path });
    } catch {
      found = null; // what is wrong with it is said where the form is checked
    }
    if (path !== this.path.trim()) return;
    this.seen?.(found);
    if (!this.about) return;
    this.said.hidden = !found;
    if (!found) return;
    this.text.textContent = found.text;
    tellNotes(this.notes, found.notes);
  }
}
