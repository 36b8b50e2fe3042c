// What can be said of several reports together: whether they compare, and by how much they differ.
import { card, h } from "../shared/dom.js";

const signed = (value) => `${value > 0 ? "+" : value < 0 ? "−" : "±"}${Math.abs(value).toFixed(1)}`;

/** Notes on what was not measured alike, and the differences with their intervals. told: the server's. */
export function besideParts(shown, told) {
  const apart = shown.filter((_, i) => !told.same[i]).map((one) => one.title);
  const sentences = [...told.notes];
  if (apart.length) sentences.push(`Not of the same images or classes as ${shown[0].title}, so that pictures and classes are without: ${apart.join(", ")}.`);
  const parts = [];
  if (sentences.length) parts.push(h("div", { class: "messages notes comparability", role: "note" }, sentences.map((one) => h("p", {}, one))));
  if (told.differences?.rows.length) parts.push(differencesCard(shown, told.differences));
  return parts;
}

function differencesCard(shown, { about, rows, measures }) {
  const { card: element, body } = card("Differences", { class: "card differences" });
  const cell = (one) => {
    if (!one) return h("td", {}, "–");
    const { difference, low, high } = one;
    const sure = low > 0 || high < 0;
    return h("td", { class: sure ? "sure" : "" }, `${signed(difference)} `, h("small", {}, `${signed(low)} to ${signed(high)}`));
  };
  body.append(
    h("div", { class: "scroll" }, h("table", { class: "numbers" }, h("thead", {}, h("tr", {}, h("th", {}, `Against ${shown[0].title}`), measures.map((name) => h("th", {}, name)))), h("tbody", {}, rows.map((row) => h("tr", {}, h("th", {}, row.title), row.values.map(cell)))))),
    h("p", { class: "help" }, about),
  );
  return element;
}
