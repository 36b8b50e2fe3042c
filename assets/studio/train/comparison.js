// Runs side by side: the settings in which they differ, then their numbers, scores first.
import { h } from "../shared/dom.js";
import { CHARTS } from "./charts.js";
import { exact } from "./scales.js";
import { NOTHING } from "./score.js";

const TITLES = new Map(CHARTS.map(([kind, name, title]) => [kind === "validation" ? `validation: ${name}` : name, title]));
const SCORES = { "cluster accuracy": "U-Acc, %", "cluster miou": "U-mIoU, %", "linear accuracy": "L-Acc, %", "linear miou": "L-mIoU, %" };
const OTHERS = { state: "State", step: "Step", epoch: "Epoch", seconds: "Seconds", empty: "Anchors without positives" };
const LEAST_COLUMN = 90; // px
const VALIDATION = "validation: ", REPORT = "report";

/** Groups of numbers in their order: a heading, and which names stand below it. */
const GROUPS = [
  ["Report", (name) => name.startsWith(REPORT)],
  ["Last validation", (name) => name.startsWith(VALIDATION)],
  ["Last training step", () => true],
];

/** What a number is called on the page; names that only a later version knows stay as they are. */
export function titleOf(name) {
  const [kind, measure] = name.split(": ");
  const scores = SCORES[(measure ?? "").replace("_", " ")];
  if (scores) return kind.includes("CRF") ? scores.replace(",", " with CRF,") : scores;
  return TITLES.get(name) ?? OTHERS[measure ?? name] ?? name;
}

/** reply: {names, settings, metrics} of the server; returns what to show. */
export function comparison({ names, settings, metrics }) {
  const left = [...metrics];
  const grouped = GROUPS.map(([title, belongs]) => [title, left.filter(({ name }) => belongs(name)).map((row) => left.splice(left.indexOf(row), 1)[0])]);
  const numbers = grouped.filter(([, rows]) => rows.length).map(([title, rows]) => table(title, names, rows, titleOf));
  return [
    part("Settings that differ", settings.length ? [table("Settings that differ", names, settings, (name) => name)] : [h("p", {}, "All settings are the same.")]),
    part("Numbers", numbers),
  ];
}

const part = (label, content) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, content);

function table(title, names, rows, titled) {
  const heads = [title, ...names].map((head) => h("th", { scope: "col" }, head));
  const body = rows.map(({ name, values }) => h("tr", { dataset: { compared: name } }, h("th", { scope: "row" }, titled(name)), values.map((value) => h("td", {}, words(value)))));
  const width = 200 + LEAST_COLUMN * names.length;
  return h("table", { class: "compared", style: `min-width: ${width}px` }, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, body));
}

function words(value) {
  if (value === null || value === undefined) return NOTHING;
  return typeof value === "number" ? exact(value) : String(value);
}
