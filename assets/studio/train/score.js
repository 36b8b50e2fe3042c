// What a run has scored, and where that is from: in the list, and at the head of a run's page.
import { count, h } from "../shared/dom.js";

export const NOTHING = "–";
/** How the clusters came about that scores are of. */
export const WAYS = {
  "": "the probes",
  crf: "the probes, with CRF",
  pamr: "the probes, with PAMR",
  noise: "best of several starts: noise",
  spread: "best of several starts: spread",
  merged: "best of several starts: merged",
  linkage: "average linkage",
};
const REFINED = { crf: "CRF", pamr: "PAMR" };
const STARTS = { noise: "noise", spread: "spread-out patches", merged: "merged clusters" };
const MEASURES = [["u_accuracy", "U-Acc", "Clusters: pixel accuracy"], ["u_miou", "U-mIoU", "Clusters: mean IoU"], ["l_accuracy", "L-Acc", "Linear probe: pixel accuracy"], ["l_miou", "L-mIoU", "Linear probe: mean IoU"]];

export const scoreOf = (run, way) => run.scores?.rows.find((row) => row.way === way) ?? null;

/** Whether a run's scores are of its last validation: the list marks them with an asterisk. */
export const isValidation = (run, way) => Boolean(scoreOf(run, way)) && run.scores.source === "validation";

/** Where a run's scores are from, in words; empty where it has none. */
export function from(run, way) {
  if (!scoreOf(run, way)) return "";
  const { source, step, split, reservation } = run.scores;
  const where = [step === null ? "" : `step ${count(step)}`, split ? `split ${split}` : ""].filter(Boolean).join(", ");
  const parts = [`${source === "report" ? "Report" : "Validation"}${where ? `: ${where}` : ""}`, howFound(run, way)];
  return [...parts, reservation].filter(Boolean).join(" · ");
}

/** How clusters were found and refined. */
function howFound(run, way) {
  const own = way === "" || way in REFINED;
  const start = own ? (run.start ? `clusters initialised from ${STARTS[run.start] ?? run.start}` : "") : `clusters: ${WAYS[way]}`;
  return [start, REFINED[way] ? `refined with ${REFINED[way]}` : "no refinement"].filter(Boolean).join(" · ");
}

export class ScoreTiles {
  /** report(): open the run's report. */
  constructor(report) {
    this.way = "";
    this.tiles = h("dl", { class: "score-tiles" });
    this.ways = h("select", { "aria-label": "Scores of", onchange: () => {
      this.way = this.ways.value;
      this.draw();
    } });
    this.about = h("p", { class: "help" });
    this.report = h("button", { type: "button", class: "quiet", onclick: report }, "See the report");
    this.element = h("section", { class: "run-scores", "aria-label": "Scores", hidden: true }, this.tiles, h("div", { class: "score-source" }, this.ways, this.about, this.report));
  }

  show(run) {
    if (this.run?.name !== run.name) this.way = "";
    this.run = run;
    const rows = run.scores?.rows ?? [];
    const known = rows.map(({ way }) => way).join();
    if (known !== this.known) this.ways.replaceChildren(...rows.map(({ way }) => h("option", { value: way }, way ? WAYS[way] : "the run's own probes")));
    this.known = known;
    if (!rows.some(({ way }) => way === this.way)) this.way = "";
    this.ways.value = this.way;
    this.ways.hidden = rows.length < 2;
    this.report.hidden = run.scores?.source !== "report";
    this.draw();
  }

  draw() {
    const { run, way } = this;
    const row = scoreOf(run, way);
    this.element.hidden = !row;
    if (!row) return;
    const said = JSON.stringify([row, from(run, way)]);
    if (said === this.said) return; // what is read aloud is not replaced by the same
    this.said = said;
    const tile = ([key, title, meaning]) => h("div", { title: meaning, dataset: { score: key } }, h("dt", {}, title), h("dd", {}, row[key] === null ? NOTHING : [row[key].toFixed(1), h("small", {}, " %")]));
    this.tiles.replaceChildren(...MEASURES.map(tile));
    this.about.textContent = `${from(run, way)}.`;
  }
}
