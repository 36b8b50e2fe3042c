// A report's clusterings from many starts: the best of each kind by its own loss, and the spread over all.
import { card, fixed, h } from "../shared/dom.js";
import { hint } from "../shared/hint.js";
import { perCent } from "./form.js";
import { signed } from "./beside.js";

const TITLES = {
  noise: ["Noise", "Centroids begin as random vectors, as the published probe's do"],
  spread: ["Spread", "Centroids begin at patches far from each other, as k-means++ draws them"],
  merged: ["Merged", "Centroids begin at small clusters merged by average linkage"],
  linkage: ["Linkage", "The merged clusters as they are: nothing is learnt after merging"],
};
const COLUMNS = [
  ["Loss", "Minus the mean cosine of training patches with their centroid: the one with the least is kept, which takes no labels"],
  ["U-Acc", "Of the one that is kept, one to one with the classes (Hungarian)"],
  ["U-mIoU", "Of the one that is kept, one to one with the classes (Hungarian)"],
  ["U-mIoU of all", "Mean ± deviation over all starts of this kind"],
];

/** The card; null where no report shown has them. */
export function startsCard(shown) {
  const measured = shown.filter(({ report }) => report.starts?.rows.length);
  if (!measured.length) return null;
  const { card: element, body } = card("Many starts", { class: "card starts" });
  for (const one of measured) {
    if (shown.length > 1) body.append(h("h3", {}, [one.title, one.differs].filter(Boolean).join(" · ")));
    body.append(about(one.report.starts), scores(one.report.starts), gains(one.report.starts));
  }
  return element;
}

function about({ rows, images, split, seed }) {
  const count = rows[0].losses.length;
  const from = images === 1 ? "1 image" : `${images} images`;
  return h("p", { class: "help" }, `${count === 1 ? "One clustering" : `${count} clusterings`} of each kind, found on ${from} of the split ${split} (seed ${seed}). The spread tells how much of a score is its start's.`);
}

function scores({ rows }) {
  const head = h("tr", {}, h("th", {}, "Start"), h("th", {}, "Features"), COLUMNS.map(([name, title]) => h("th", {}, hint(name, title))));
  const lines = rows.map((row, i) => {
    const [name, title] = TITLES[row.start] ?? [row.start, ""];
    const cells = [fixed(row.losses[row.chosen]), perCent(row.accuracy), perCent(row.miou), spread(row.mious)];
    const next = i && rows[i - 1].features !== row.features;
    return h("tr", { class: next ? "next" : "" }, h("th", { scope: "row" }, title ? hint(name, title) : name), h("td", {}, row.features), cells.map((text) => h("td", {}, text)));
  });
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Scores from many starts" }, h("table", { class: "numbers" }, h("thead", {}, head), h("tbody", {}, lines)));
}

function spread(values) {
  const known = values.filter((value) => value !== null);
  if (!known.length) return "–";
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  if (known.length < 2) return perCent(mean);
  const deviation = Math.sqrt(known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (known.length - 1));
  return `${perCent(mean)} ± ${perCent(deviation)}`;
}

const interval = ({ difference, low, high }) => (difference === null ? "–" : low === null ? signed(difference) : `${signed(difference)} (${signed(low)} to ${signed(high)})`);

function gains({ gains: found }) {
  const head = h("tr", {}, h("th", {}, hint("Trained minus frozen", "Points, + where training is better; 95 % of 2,000 redraws of the images lie within the interval")), ["U-Acc", "U-mIoU"].map((name) => h("th", {}, name)));
  const lines = Object.entries(found).map(([start, one]) => h("tr", {}, h("th", { scope: "row" }, TITLES[start]?.[0] ?? start), h("td", {}, interval(one.accuracy)), h("td", {}, interval(one.miou))));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "What training gains from each start" }, h("table", { class: "numbers gains" }, h("thead", {}, head), h("tbody", {}, lines)));
}
