// A report's clusterings: a table of every method and number of clusters, and a curve.
import { card, choice, fixed, h } from "../shared/dom.js";
import { hint } from "../shared/hint.js";
import { perCent } from "./form.js";

const NAMES = { merged: "merged", kmeans: "k-means", probe: "probe" };
// [key, name, its value in a row, digits, highest value there can be]
const CURVES = [
  ["learnt", "mIoU, learnt map", (row) => row.learnt.miou, 1, 100],
  ["hungarian", "mIoU, one to one", (row) => row.hungarian.miou, 1, 100],
  ["optimistic", "mIoU, optimistic", (row) => row.optimistic.miou, 1, 100],
  ["nmi", "NMI", (row) => row.nmi, 3, 1],
  ["ari", "ARI", (row) => row.ari, 3, 1],
];
const HEAD = [
  ["Learnt map", 2, "Each cluster takes the class that most of its pixels have in the training images"],
  ["One to one", 2, "One cluster per class (Hungarian matching); with more clusters than classes, the rest count as wrong"],
  ["Optimistic", 2, "The map is learnt on the evaluated split itself, so do not compare this number with others"],
  ["Agreement", 3, "How well clusters and classes agree: measures that need no map"],
  ["Unmatched", 2, "Clusters without a pixel, and classes without a cluster"],
];
const COLUMNS = [
  ["Acc", (row) => perCent(row.learnt.accuracy)],
  ["mIoU", (row) => perCent(row.learnt.miou)],
  ["Acc", (row) => perCent(row.hungarian.accuracy)],
  ["mIoU", (row) => perCent(row.hungarian.miou)],
  ["Acc", (row) => perCent(row.optimistic.accuracy)],
  ["mIoU", (row) => perCent(row.optimistic.miou)],
  ["Purity", (row) => perCent(row.purity), "Percentage of pixels that belong to the most frequent class of their cluster"],
  ["NMI", (row) => fixed(row.nmi), "Normalised mutual information: mutual information divided by the mean of both entropies, 0 to 1"],
  ["ARI", (row) => fixed(row.ari), "Adjusted Rand index: at most 1; 0 is chance level"],
  ["Unused", (row) => String(row.unused), "Clusters without a pixel in this split"],
  ["Not found", (row) => String(row.missed), "Classes of the split that are not the most frequent class of any cluster"],
];

/** The card; null where no report shown has clusterings. */
export function clusteringsCard(shown) {
  const measured = shown.filter(({ report }) => report.clusterings?.rows.length);
  if (!measured.length) return null;
  const { card: element, body } = card("Clusters", { class: "card clusterings" });
  for (const one of measured) {
    const { rows } = one.report.clusterings;
    const parts = [about(one.report), curves(rows), table(rows)].filter(Boolean);
    body.append(...(shown.length > 1 ? [h("h3", {}, [one.title, one.differs].filter(Boolean).join(" · "))] : []), ...parts);
  }
  return element;
}

function about({ clusterings, classes }) {
  const images = clusterings.images === 1 ? "1 image" : `${clusterings.images} images`;
  return h("p", { class: "help" }, `${classes.length} classes. Centroids found on ${images} from the split ${clusterings.split}, ${clusterings.features} features, seed ${clusterings.seed}.`);
}

function table(rows) {
  const groups = h("tr", {}, h("th", { colspan: "2" }), HEAD.map(([name, columns, title]) => h("th", { colspan: String(columns), class: "group" }, hint(name, title))));
  const names = h("tr", {}, h("th", {}, "K"), h("th", {}, "Found by"), COLUMNS.map(([name, , title]) => h("th", {}, title ? hint(name, title) : name)));
  const told = (row, name, text) => (name === "Not found" && row.missed ? hint(text, notFound(row)) : text);
  const cells = (row) => COLUMNS.map(([name, text]) => h("td", {}, told(row, name, text(row))));
  const ordered = [...rows].sort((one, other) => one.clusters - other.clusters);
  const lines = ordered.map((row, i) => h("tr", { class: i && ordered[i - 1].clusters !== row.clusters ? "next" : "" }, h("td", {}, ordered[i - 1]?.clusters === row.clusters ? "" : String(row.clusters)), h("th", { scope: "row" }, NAMES[row.method] ?? row.method), cells(row)));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Clusters, by number and method" }, h("table", { class: "numbers clusters" }, h("thead", {}, groups, names), h("tbody", {}, lines)));
}

/** The classes that nobody found, by name: no pixel of theirs is right under the optimistic map. */
const notFound = ({ optimistic }) => Object.entries(optimistic.iou).filter(([, value]) => value === 0).map(([name]) => name).join(", ");

/** A line for each method, K on a logarithmic scale; a choice of what is drawn. */
function curves(rows) {
  if (new Set(rows.map(({ clusters }) => clusters)).size < 2) return null;
  const place = h("div", { class: "curve" });
  const draw = (key) => place.replaceChildren(curve(rows, CURVES.find(([name]) => name === key)));
  const by = choice("Curve", CURVES.map(([key, name]) => [key, name]), CURVES[0][0], draw);
  draw(CURVES[0][0]);
  return h("div", { class: "curve-box" }, by.group, place);
}

const WIDTH = 640, HEIGHT = 240;
const LEFT = 40, RIGHT = 130, TOP = 12, BOTTOM = 36;
const APART = 16; // of the lines' names

function curve(rows, [, name, of, digits, highest]) {
  const counts = [...new Set(rows.map(({ clusters }) => clusters))].sort((a, b) => a - b);
  const values = rows.map(of).filter((value) => value !== null);
  const step = highest / 10;
  const top = Math.min(highest, Math.max(step, Math.ceil(Math.max(0, ...values) / step) * step));
  const [low, high] = [Math.log(counts[0]), Math.log(counts.at(-1))];
  const x = (clusters) => LEFT + ((Math.log(clusters) - low) / (high - low)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - (Math.max(0, value) / top) * (HEIGHT - TOP - BOTTOM);
  const lines = Object.keys(NAMES).map((method) => ({ method, points: rows.filter((row) => row.method === method && of(row) !== null).sort((a, b) => a.clusters - b.clusters) })).filter(({ points }) => points.length);
  const parts = [0, top / 2, top].flatMap((value) => [svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }), svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, Number(value.toFixed(2)).toString())]);
  let last = -Infinity; // numbers that would run into each other are left out
  for (const count of counts) {
    if (x(count) - last < 30) continue;
    last = x(count);
    parts.push(svg("text", { x: last, y: HEIGHT - BOTTOM + 17, "text-anchor": "middle" }, String(count)));
  }
  parts.push(svg("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 3, "text-anchor": "middle" }, "clusters"));
  const ends = spreadOut(lines.map(({ points }) => y(of(points.at(-1)))));
  lines.forEach(({ method, points }, i) => {
    parts.push(svg("polyline", { class: `line ${method}`, points: points.map((row) => `${x(row.clusters).toFixed(1)},${y(of(row)).toFixed(1)}`).join(" ") }));
    parts.push(...points.map((row) => svg("circle", { class: method, cx: x(row.clusters), cy: y(of(row)), r: 3.5 }, svg("title", {}, `K ${row.clusters}, ${NAMES[method]}: ${of(row).toFixed(digits)}`))));
    const end = points.at(-1);
    parts.push(svg("text", { class: method, x: x(end.clusters) + 9, y: ends[i] + 4 }, `${NAMES[method]} ${of(end).toFixed(digits)}`));
  });
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${name} against the number of clusters` }, ...parts);
}

/** Heights at least APART, in the same order. */
function spreadOut(heights) {
  const order = heights.map((_, i) => i).sort((a, b) => heights[a] - heights[b]);
  const found = [...heights];
  order.slice(1).forEach((i, n) => (found[i] = Math.max(found[i], found[order[n]] + APART)));
  // Down at the axis there is no room below: they move up instead.
  for (let n = order.length - 1, floor = HEIGHT - BOTTOM; n >= 0; n--, floor -= APART) found[order[n]] = Math.min(found[order[n]], floor);
  return found;
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}
