// Later systems' own figures: apart from everything measured here and from the paper's rows.
import { h } from "../shared/dom.js";

/** A folded table of what others state for the same data set; null where there is nothing. */
export function laterSystems({ later }) {
  if (!later?.rows.length) return null;
  // Two columns of numbers; everything else is text.
  const number = (i) => later.head[i].startsWith("U-");
  const cell = (text, i) => h(i ? "td" : "th", { class: number(i) || !i ? "" : "text" }, text);
  return h(
    "details",
    { class: "later" },
    h("summary", {}, `Later methods on this data set (${later.rows.length} rows)`),
    h("p", { class: "help" }, later.about),
    h("div", { class: "scroll" }, h("table", { class: "numbers" }, h("thead", {}, h("tr", {}, later.head.map((name, i) => h("th", { class: number(i) ? "" : "text" }, name)))), h("tbody", {}, later.rows.map((row) => h("tr", {}, row.map(cell)))))),
  );
}
