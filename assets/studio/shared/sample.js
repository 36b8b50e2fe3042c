// What a page shows where there is nothing of one's own yet: a real result of the sample photos.
import { h } from "./dom.js";

/** By this name the server knows the sample of each page. */
export const SAMPLE = ".sample";
const HIDDEN = "ppap.sample.hidden.";

export class Sample {
  /** next: what to do now, in a sentence; changed(): it was hidden, or is wanted again. */
  constructor(page, next, changed) {
    Object.assign(this, { page, changed });
    this.badge = h("span", { class: "badge sample" }, "Sample");
    this.note = h(
      "section",
      { class: "card sample-note", "aria-label": "Sample" },
      h("div", { class: "card-body" }, this.badge, h("p", {}, next), h("button", { type: "button", class: "quiet", onclick: () => this.set(true) }, "Hide the sample")),
    );
    this.back = h("button", { type: "button", class: "quiet sample-back", onclick: () => this.set(false) }, "Show the sample");
    this.back.hidden = !this.hidden;
  }

  /** Hidden in this browser, until it is wanted again. */
  get hidden() {
    try {
      return localStorage.getItem(HIDDEN + this.page) === "1";
    } catch {
      return Boolean(this.gone); // no storage: until the page is closed
    }
  }

  /** As a link has it: the sample only if somebody asked for it, or it would stand in the way of the first of one's own. */
  inLink(key, asked) {
    return key === SAMPLE && !asked ? "" : key;
  }

  set(hidden) {
    this.gone = hidden;
    this.back.hidden = !hidden;
    try {
      if (hidden) localStorage.setItem(HIDDEN + this.page, "1");
      else localStorage.removeItem(HIDDEN + this.page);
    } catch {
      // no storage: until the page is closed
    }
    this.changed();
  }
}

/** The sample as one of a list's items. */
export const sampleItem = (key, title, text, open) => h("li", { class: "sample", dataset: { [key]: SAMPLE } }, h("button", { type: "button", class: "open", onclick: open }, h("strong", {}, title, " ", h("span", { class: "badge sample" }, "Sample")), h("span", {}, text)));
