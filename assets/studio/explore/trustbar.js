// Beside the trust overlay: which measure it shows, and how far the survey of all anchors is.
import { h, relist, select } from "../shared/dom.js";

export class TrustBar {
  /** trust follows the survey; go(by) leads to the next or previous anchor worth a look. */
  constructor(trust, go) {
    this.trust = trust;
    this.measure = select("Each patch as the anchor:", [], "", (key) => trust.setMeasure(key), "What the colours show");
    this.measure.field.classList.add("row");
    this.bar = h("progress", { max: 1, hidden: true, "aria-label": "Measuring every anchor" });
    this.text = h("p", { class: "help", role: "status" });
    this.problem = h("p", { class: "field-error", role: "alert", hidden: true });
    const step = (by, text, title) => h("button", { type: "button", title, "aria-label": title, onclick: () => go(by) }, text);
    const steps = h("span", { class: "worth-steps" }, step(-1, "‹", "Previous anchor worth a look (p)"), " worth a look ", step(1, "›", "Next anchor worth a look (n)"));
    this.element = h("div", { class: "trustbar", hidden: true }, this.measure.field, steps, this.bar, this.text, this.problem);
  }

  show(shown) {
    const { share, problem, shownMeasure } = this.trust;
    const measures = this.trust.measures ?? [];
    this.element.hidden = !shown;
    this.bar.hidden = share === null;
    if (share !== null) this.bar.value = share;
    this.problem.textContent = problem;
    this.problem.hidden = !problem;
    const options = measures.map(({ key, title }) => [key, title]);
    // A list that did not change stays as it is: it may be open.
    if (JSON.stringify(options) !== this.listed) relist(this.measure.input, options);
    this.listed = JSON.stringify(options);
    if (shownMeasure) this.measure.input.value = shownMeasure;
    const meaning = measures.find(({ key }) => key === shownMeasure)?.meaning ?? "";
    this.text.textContent = problem ? "" : `${meaning} ${this.trust.text}`.trim();
  }
}
