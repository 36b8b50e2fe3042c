// A report's clusterings from many starts: the best of each kind by its own loss, and the spread over all.
import { card, fixed, h } from "../shared/dom.js";
import { hint } from "../shared/hint.js";
import { perCent } from "./form.js";
import { signed } from "./beside.js";

const TITLES = {
  noise: ["Noise", "Centroids start as random vectors, as in the published probe"],
  spread: ["Spread", "Centroids start at patches far from each other, chosen as in k-means++"],
  merged: ["Merged", "Centroids start at small clusters merged by average linkage"],
  linkage: ["Linkage", "The merged clusters themselves: nothing is learnt after merging"],
};
const COLUMNS = [
  ["Loss", "Minus the mean cosine between training patches and their centroid. The start with the lowest loss is kept; this needs no labels"],
  ["U-Acc", "For the start that is kept, matched one to one with the classes (Hungarian)"],
  ["U-mIoU", "For the start that is kept, matched one to one with the classes (Hungarian)"],
  ["U-mIoU of all", "Mean ± standard deviation over all starts of this kind"],
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
  return h("p", { class: "help" }, `${count === 1 ? "One clustering" : `${count} clusterings`} of each kind, found on ${from} from the split ${split} (seed ${seed}). The spread shows how much a score depends on its start.`);
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
  const head = h("tr", {}, h("th", {}, hint("Trained minus frozen", "In points; + means that training is better. The interval contains 95 % of 2,000 resamplings of the images")), ["U-Acc", "U-mIoU"].map((name) => h("th", {}, name)));
  const lines = Object.entries(found).map(([start, one]) => h("tr", {}, h("th", { scope: "row" }, TITLES[start]?.[0] ?? start), h("td", {}, interval(one.accuracy)), h("td", {}, interval(one.miou))));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Gain from training, for each start" }, h("table", { class: "numbers gains" }, h("thead", {}, head), h("tbody", {}, lines)));
}
