// In which order the images of a report stand, which are left out, and the number that says so.
import { count } from "../shared/dom.js";

export const ORDERS = [
  ["worst", "Accuracy, worst first"],
  ["best", "Accuracy, best first"],
  ["miou", "mIoU, worst first"],
  ["iou", "IoU of the class, worst first"],
  ["pixels", "Most such pixels first"],
  ["difference", "Largest difference first"],
  ["order", "As in the data set"],
];
const perCent = (value) => (value === null || value === undefined ? "–" : value.toFixed(1));
const signed = (value) => `${value > 0 ? "+" : value < 0 ? "−" : "±"}${Math.abs(value).toFixed(1)}`;

/** The scores of a report's image, refined where it was. */
export const scoresOf = (image, { kind, refine }) => (refine !== "none" && image[refine] ? image[refine] : image)[kind];

/** How much better another report is at an image than the first, the farthest of all; null: unknown. */
export function differenceOf(at, shown, look) {
  const [first, ...others] = shown.map(({ report }) => scoresOf(report.images[at], look).accuracy);
  const found = others.filter((one) => one !== null && first !== null).map((one) => one - first);
  return found.length ? found.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a)) : null;
}

/**
 * The rows of the list: [{index, name, value}]. shown: the reports; look: {kind, refine}; wanted:
 * {order, name: part of a name; singled, filter: counts by place, {pixels, iou}, or null}.
 */
export function ranked(shown, look, { order, name, singled, filter }) {
  const classIou = (at) => (singled?.iou ?? filter?.iou)?.[at] ?? null;
  const measures = {
    worst: (at) => scoresOf(shown[0].report.images[at], look).accuracy,
    miou: (at) => scoresOf(shown[0].report.images[at], look).miou,
    iou: classIou,
    pixels: (at) => singled?.pixels[at] ?? null,
    difference: (at) => differenceOf(at, shown, look),
  };
  const measure = measures[order] ?? measures.worst;
  const ways = { worst: 1, miou: 1, iou: 1, best: -1, pixels: -1, difference: -1, order: 0 };
  const way = ways[order];
  const size = order === "difference" ? (value) => Math.abs(value) : (value) => value;
  const text = name.trim().toLocaleLowerCase();
  const rows = shown[0].report.images
    .map((one, at) => ({ index: one.index, name: one.name, at, measured: measure(at) }))
    .filter((row) => !text || row.name.toLocaleLowerCase().includes(text))
    .filter((row) => !filter || filter.pixels[row.at] > 0)
    .filter((row) => !singled || singled.pixels[row.at] > 0);
  const known = (value) => (value === null ? Infinity : way * size(value));
  if (way) rows.sort((a, b) => known(a.measured) - known(b.measured) || a.at - b.at);
  const say = { pixels: (value) => (value === null ? "" : count(value)), difference: (value) => (value === null ? "–" : signed(value)) }[order] ?? perCent;
  return rows.map((row) => ({ index: row.index, name: row.name, value: say(row.measured) }));
}
