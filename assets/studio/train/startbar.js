// What stays in reach below a long form: Start, what is wrong, and what the run takes.
import { h } from "../shared/dom.js";

// So many faults are named; the rest is counted.
const NAMED = 3;

export class StartBar {
  /** goTo(field): look at what is wrong with it. */
  constructor(goTo) {
    this.goTo = goTo;
    this.button = h("button", { type: "submit", class: "primary" }, "Start");
    this.said = h("p", { class: "help said", role: "status" });
    this.headline = h("p", { class: "help headline", dataset: { part: "headline" } });
    this.link = h("button", { type: "button", class: "quiet faults", title: "Go to the first", onclick: () => goTo(this.first) });
    this.faults = h("div", { role: "status", hidden: true, dataset: { part: "faults" } }, this.link);
    this.element = h("div", { class: "start-bar" }, this.faults, h("div", { class: "buttons" }, this.button, h("div", { class: "words" }, this.headline, this.said)));
  }

  /** names: of the fields that are at fault, in the order of the form; labels: other words for some. */
  show(names, labels) {
    this.first = names[0];
    this.faults.hidden = names.length === 0;
    if (!names.length) return;
    const listed = names.slice(0, NAMED).map((name) => labels[name] ?? name).join(", ");
    const rest = names.length > NAMED ? ` and ${names.length - NAMED} more` : "";
    const text = `${names.length === 1 ? "1 thing" : `${names.length} things`} to fix: ${listed}${rest}`;
    if (this.link.textContent !== text) this.link.textContent = text; // said once
  }

  say(text) {
    this.said.textContent = text;
  }
}

/** Look at a run that has just been started, and let whoever uses the keyboard go on from there. */
export function arriveAt(element, heading) {
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
  element.scrollIntoView({ block: "start" });
}
