// The timeline 0…T: one row a step, with what was measured there; play, back and forth.
import { card, count, fixed, h, percent } from "../shared/dom.js";

const COLUMNS = [
  ["Φ", "Positiveness criterion", (step) => fixed(step.phi)],
  ["Ψ", "Ambiguity criterion", (step) => fixed(step.psi)],
  ["moved", "How far the proxy moved: 1 − cosine to its previous position", (step) => fixed(step.moved)],
  ["|P|", "Positive patches", (step) => count(step.positive), "positive"],
  ["|A|", "Ambiguous patches", (step) => count(step.ambiguous), "ambiguous"],
  ["|N|", "Negative patches", (step) => count(step.negative), "negative"],
  ["precision", "Share of the labelled patches in P that have the anchor's class", (step) => percent(step.precision), null, true],
  ["recall", "Share of the anchor's class that is in P", (step) => percent(step.recall), null, true],
  ["wrong in N", "Share of the labelled patches in N that have the anchor's class", (step) => percent(step.false_negative), null, true],
];

const SECONDS_A_STEP = 0.9;

export class Steps {
  constructor(onStep) {
    this.onStep = onStep;
    this.back = this.button("Previous step (,)", "‹", () => this.go(-1));
    this.forth = this.button("Next step (.)", "›", () => this.go(1));
    this.play = h("button", { type: "button", class: "play", onclick: () => this.toggle() });
    this.note = h("p", { class: "help" });
    this.track = h("ol", { class: "track", "aria-label": "Steps" });
    const transport = h("div", { class: "transport" }, this.back, this.play, this.forth);
    const { card: element, body } = card("Steps", { class: "card steps" }, this.track, transport);
    this.table = h("table", {});
    body.append(h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Numbers of every step" }, this.table), this.note);
    this.element = element;
    this.setPlaying(false);
  }

  button(title, text, onclick) {
    return h("button", { type: "button", title, "aria-label": title, onclick }, text);
  }

  /** Draw the table for a view; `className` is the anchor's class, null without labels. */
  setView(view, step, hasLabels, className) {
    this.steps = view.steps;
    const columns = COLUMNS.filter((column) => hasLabels || !column[4]);
    const head = columns.map(([name, title, , set]) => h("th", { scope: "col", title, class: set ? `set ${set}` : null }, name));
    const rows = view.steps.map((entry, t) =>
      h("tr", { onclick: () => this.choose(t) }, h("th", { scope: "row" }, `t = ${t}`), columns.map(([, , show]) => h("td", {}, show(entry)))),
    );
    this.table.replaceChildren(h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "step"), head)), h("tbody", {}, rows));
    if (this.track.childElementCount !== view.steps.length) {
      this.track.replaceChildren(
        ...view.steps.map((_, t) =>
          h("li", {}, h("button", { type: "button", "aria-label": `Step ${t}`, dataset: { step: String(t) }, onclick: () => this.choose(t) }, String(t))),
        ),
      );
    }
    if (!hasLabels) this.note.textContent = "Images with label maps also show precision and recall here.";
    else if (className === null) this.note.textContent = "The anchor has no label, so there is no class to measure against.";
    else this.note.textContent = `Measured against the anchor's class: ${className}.`;
    this.measured = this.note.textContent;
    this.setStep(step);
  }

  /** What is odd about a step, in words: settings can meet, and sets can be empty. */
  remark({ phi, psi, positive }) {
    if (positive === 0) return "No patch is above Φ, so the proxy stays where it is.";
    if (psi >= phi) return "Ψ has reached Φ: there is no ambiguous zone, and everything below Φ is negative.";
    return "";
  }

  setStep(step) {
    this.step = step;
    this.note.textContent = [this.remark(this.steps[step]), this.measured].filter(Boolean).join(" ");
    const dot = this.track.children[step];
    if (dot) this.track.scrollLeft = dot.offsetLeft - this.track.offsetLeft - this.track.clientWidth / 2;
    [...this.table.tBodies[0].rows].forEach((row, t) => row.classList.toggle("current", t === step));
    this.track.querySelectorAll("button").forEach((button, t) => {
      button.setAttribute("aria-current", t === step ? "step" : "false");
      button.classList.toggle("past", t < step);
    });
    const last = (this.steps?.length ?? 1) - 1;
    this.back.disabled = step <= 0;
    this.forth.disabled = step >= last;
    this.play.disabled = last === 0;
  }

  choose(step) {
    this.setPlaying(false);
    this.onStep(step);
  }

  go(by) {
    const next = this.step + by;
    if (this.steps && next >= 0 && next < this.steps.length) this.choose(next);
  }

  toggle() {
    this.setPlaying(!this.playing);
  }

  setPlaying(playing) {
    this.playing = playing;
    this.play.textContent = playing ? "❚❚ Pause" : "▶ Play";
    this.play.title = "Play or pause (space)";
    this.play.setAttribute("aria-pressed", String(playing));
    clearInterval(this.timer);
    if (!playing) return;
    if (this.steps && this.step >= this.steps.length - 1) this.onStep(0);
    this.timer = setInterval(() => {
      const next = this.step + 1;
      if (next < this.steps.length) this.onStep(next);
      if (next >= this.steps.length - 1) this.setPlaying(false);
    }, 1000 * SECONDS_A_STEP);
  }
}
