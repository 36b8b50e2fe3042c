// What the second features look like on the page: their pane, and the table of both.
import { count, fixed, h, percent } from "../shared/dom.js";
import { GAINED, LOST, tally } from "./difference.js";

const ROWS = [
  ["|P|", "Positive patches", "positive"],
  ["|A|", "Ambiguous patches", "ambiguous"],
  ["|N|", "Negative patches", "negative"],
  ["precision", "Share of the labelled patches in P that have the anchor's class", "precision", true],
  ["recall", "Share of the anchor's class that is in P", "recall", true],
  ["wrong in N", "Share of the labelled patches in N that have the anchor's class", "false_negative", true],
];

/** A number with its sign; a true minus, as in print. */
const signed = (value, text) => (value > 0 ? `+${text(value)}` : value < 0 ? `−${text(-value)}` : "0");

/** "+1,204 patches" or "−3.2 points"; a dash where one of the two is not there. */
export function differenceOf(before, after, share) {
  if (before === null || after === null) return "–";
  if (!share) return signed(after - before, count);
  const points = Math.round(1000 * (after - before)) / 10;
  return points === 0 ? "0 points" : `${signed(points, (value) => fixed(value, 1))} points`;
}

export class BesideTable {
  constructor() {
    this.table = h("table", {});
    this.words = h("p", { class: "help", dataset: { part: "changes" } });
    this.element = h(
      "div",
      { class: "beside-table", hidden: true },
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Both sets of features in numbers" }, this.table),
      this.words,
    );
  }

  /**
   * first, second: {view, step}; codes: the difference on the first grid; batch: {labels, and whether
   * the second has an other grid, has the same features, and is linked to the first's settings}.
   */
  show(first, second, codes, batch, anchor) {
    const rows = ROWS.filter((row) => !row[3] || batch.labels);
    const numbers = [first.view.steps[first.step], second.view.steps[second.step]];
    const text = (value, share) => (share ? percent(value) : count(value));
    const head = h("tr", {}, h("th", { scope: "col" }, `t = ${first.step}${second.step === first.step ? "" : ` and ${second.step}`}`), rows.map(([name, title]) => h("th", { scope: "col", title }, name)));
    const body = ["First", "Second"].map((title, i) =>
      h("tr", { dataset: { row: title.toLowerCase() } }, h("th", { scope: "row" }, title), rows.map(([, , key, share]) => h("td", {}, text(numbers[i][key], share)))),
    );
    const both = rows.map(([, , key, share]) => h("td", {}, differenceOf(numbers[0][key], numbers[1][key], share)));
    this.table.replaceChildren(h("thead", {}, head), h("tbody", {}, body, h("tr", { dataset: { row: "difference" } }, h("th", { scope: "row", title: "Second minus first" }, "Difference"), both)));
    const said = [gainsAndLosses(codes, batch, anchor)];
    if (batch.other) said.push("Patch sizes differ, so counts are in patches of the first features.");
    if (batch.same && batch.linked) said.push("Both sides show the same features so far. Choose others above.");
    if (!numbers[1].positive && numbers[0].positive) said.push(batch.linked ? "No patch of the second features is above Φ, because their similarities have a different range. Under “Settings of”, choose Second, then a suggestion." : "No patch of the second features is above their Φ.");
    this.words.textContent = said.join(" ");
    this.element.hidden = false;
  }
}

/** "From first to second: 34 positives gained (29 of 30 labelled ones correct), 12 lost (3 of 10 correct)." */
function gainsAndLosses(codes, { labels }, anchor) {
  const say = (code, word) => {
    const { count: number, right, labelled } = tally(codes, code, labels, anchor);
    const share = right === null || labelled === 0 ? "" : ` (${count(right)} of ${count(labelled)} labelled ones correct)`;
    return `${count(number)} ${word}${share}`;
  };
  return `From first to second: ${say(GAINED, "positives gained")}, ${say(LOST, "lost")}.`;
}

/** The pane of the second mosaic. */
export class BesidePane {
  constructor(mosaic) {
    this.title = h("h3", {});
    this.error = h("p", { class: "field-error", role: "alert", hidden: true });
    this.note = h("p", { class: "help", dataset: { part: "look" }, hidden: true });
    this.status = h("p", { class: "status", role: "status" });
    this.bar = h("progress", { max: 1, value: 0, "aria-label": "Loading the second features" });
    this.busy = h("div", { class: "busy", hidden: true }, this.status, this.bar);
    this.element = h("div", { class: "pane", hidden: true, dataset: { part: "beside" } }, this.title, this.busy, this.error, mosaic.element, this.note);
  }

  say(text) {
    this.note.textContent = text;
    this.note.hidden = !text;
  }

  fail(text) {
    this.error.textContent = text;
    this.error.hidden = !text;
  }

  /** How far loading is; null: it is done. */
  progress(text, share = 0) {
    this.busy.hidden = text === null;
    this.status.textContent = text === null ? "" : `${text}…`;
    this.bar.value = share;
  }
}
