// A study's tables: a sentence that says what they show, headings in words, numbers.
import { h } from "../shared/dom.js";
import { hint } from "../shared/hint.js";

/** What is to be concluded; nothing where nothing is said. */
export const conclusion = (text) => (text ? h("p", { class: "conclusion" }, text) : null);

/** headings: [{title, hint}]; lines as of `line`. */
export const table = (headings, lines) =>
  h("div", { class: "scroll" }, h("table", { class: "numbers" }, h("thead", {}, h("tr", {}, h("th", {}), headings.map((one) => h("th", {}, hint(one.title, one.hint))))), h("tbody", {}, lines)));

/** A row; what is in a cell's second line stands small below the first. */
export const line = (title, cells, attributes = {}) => h("tr", attributes, h("th", {}, title), cells.map(cell));

function cell(text) {
  const [value, below] = text.split("\n");
  return h("td", {}, value, below ? h("small", {}, below) : null);
}

/** A heading within a table. */
export const part = (title, headings) => h("tr", { class: "part" }, h("th", { colspan: String(headings.length + 1) }, title));
