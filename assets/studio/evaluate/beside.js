// What can be said of several reports together: whether they compare, and by how much they differ.
import { card, h } from "../shared/dom.js";

/** Points with their sign; what rounds to nothing has none. */
export const signed = (value) => `${{ 1: "+", [-1]: "−", 0: "±" }[Math.sign(Math.round(10 * value))]}${Math.abs(value).toFixed(1)}`;

/** Notes on what was not measured alike, and the differences with their intervals. told: the server's. */
export function besideParts(shown, told) {
  const apart = shown.filter((_, i) => !told.same[i]).map((one) => one.title);
  const sentences = [...told.notes];
  if (apart.length) sentences.push(`Images and classes leave out ${apart.join(", ")}: not evaluated on the same images and classes as ${shown[0].title}.`);
  const { rows, about } = told.differences;
  if (!rows.length && about) sentences.push(about);
  const parts = [];
  if (sentences.length) parts.push(h("div", { class: "messages notes comparability", role: "note" }, sentences.map((one) => h("p", {}, one))));
  if (rows.length) parts.push(differencesCard(shown, told.differences));
  return parts;
}

function differencesCard(shown, { about, rows, measures }) {
  const { card: element, body } = card("Differences", { class: "card differences" });
  const cell = (one) => {
    if (!one) return h("td", {}, "–");
    const { difference, low, high, apart } = one;
    if (difference === null) return h("td", {}, "–");
    return h("td", { class: apart ? "sure" : "" }, `${signed(difference)} `, low === null ? null : h("small", {}, `${signed(low)} to ${signed(high)}`));
  };
  body.append(
    h("div", { class: "scroll" }, h("table", { class: "numbers" }, h("thead", {}, h("tr", {}, h("th", {}, `Compared with ${shown[0].title}`), measures.map((name) => h("th", {}, name)))), h("tbody", {}, rows.map((row) => h("tr", {}, h("th", {}, row.title), row.values.map(cell)))))),
    h("p", { class: "help" }, about),
  );
  return element;
}
