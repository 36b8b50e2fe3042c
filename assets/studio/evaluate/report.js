// A report in the page: scores beside the paper's, bars by class, borders and interiors.
import { card, choice, count, h } from "../shared/dom.js";
import { SAMPLE } from "../shared/sample.js";
import { signed } from "./beside.js";
import { perCent } from "./form.js";
import { classOf } from "./singled.js";

const MEASURES = ["U-Acc", "U-mIoU", "L-Acc", "L-mIoU"];
/** What may come after the probes. */
export const REFINEMENTS = { crf: "CRF", pamr: "PAMR" };
const PROBES = [["cluster", "Clusters", "Clusters"], ["linear", "Linear probe", "Linear"]];

/** What any of several reports has been measured with: [key, title], in the usual order. */
export function kindsOf(shown) {
  const all = Object.fromEntries(shown.flatMap((one) => measured(one).map(([key, title]) => [key, title])));
  const usual = ["", ...Object.keys(REFINEMENTS)].flatMap((name) => PROBES.map(([probe]) => (name ? `${probe}_${name}` : probe)));
  return usual.filter((key) => all[key]).map((key) => [key, all[key]]);
}

const MOST_IN_ROW = 4;

/** One of the kinds: buttons, or a list where they would not fit in a row. */
export function chooser(label, kinds, value, onchange) {
  if (kinds.length <= MOST_IN_ROW) return choice(label, kinds, value, onchange);
  const input = h("select", { "aria-label": label, onchange: () => onchange(input.value) }, kinds.map(([key, title]) => h("option", { value: key, selected: key === value }, title)));
  return { group: input, set: (key) => (input.value = key) };
}

/** What a report has been measured with: [key, title, scores]. */
export function measured({ report }) {
  const found = PROBES.map(([probe, title]) => [probe, title, report[probe]]);
  for (const [name, called] of Object.entries(REFINEMENTS)) {
    if (report[name]) found.push(...PROBES.map(([probe, , short]) => [`${probe}_${name}`, `${short}, ${called}`, report[name][probe]]));
  }
  return found.filter(([, , scores]) => scores);
}

export function scoresCard(shown) {
  const several = shown.length > 1;
  const whose = several || shown[0].key === SAMPLE ? "" : ` of ${shown[0].title}`;
  const { card: element, body } = card(`Scores${whose}`, { class: "card scores" });
  const rows = shown.flatMap((one, i) =>
    (one.scores ?? [])
      .filter(([label]) => i === 0 || label.startsWith("measured"))
      .map(([label, values]) => {
        const own = label.startsWith("measured");
        const name = own && several ? label.replace("measured here", one.title) : label;
        const differs = own && several && one.differs ? h("small", {}, one.differs) : null;
        return h("tr", { class: own ? "measured" : "" }, h("th", {}, own && several ? h("i", { class: `swatch column-${i}` }) : null, name, differs), values.map((value) => h("td", {}, perCent(value))));
      }),
  );
  body.append(
    h("p", { class: "subject" }, shown.map((one) => h("span", {}, several ? `${one.title}: ${one.subject}` : one.subject))),
    h("div", { class: "scroll" }, h("table", { class: "numbers" }, h("thead", {}, h("tr", {}, h("th", {}), MEASURES.map((name) => h("th", {}, name)))), h("tbody", {}, rows))),
    h("p", { class: "help" }, shown[0].explanation),
    h("p", { class: "help" }, shown[0].no_paper ?? ""),
    h("ul", { class: "notes" }, notesOf(shown)),
  );
  return element;
}

/** What readers must know, said once where it holds for all. */
function notesOf(shown) {
  const all = new Set(shown.flatMap((one) => one.report.notes));
  return [...all].map((note) => {
    const whose = shown.filter((one) => one.report.notes.includes(note));
    const said = whose.length === shown.length ? note : `${whose.map((one) => one.title).join(", ")}: ${note}`;
    return h("li", { class: /^(Warning|Reservation)/.test(note) ? "warning" : "" }, said);
  });
}

/**
 * IoU of every class as bars; pick(what, kind): a class was chosen; differences: of each report to the
 * first, by kind and class, or null. Returns {element, mark}.
 */
export function classesCard(shown, pick, differences = null) {
  const kinds = kindsOf(shown);
  const list = h("div", { class: "bars" });
  let kind = kinds[0][0];
  let singled = null;
  const draw = () => {
    const columns = shown.map((one) => measured(one).find(([key]) => key === kind)?.[2]);
    const { classes, colours } = shown[0].report;
    list.replaceChildren(
      ...classes.map((name, i) =>
        h(
          "button",
          { type: "button", class: "bar-row", title: `${name}: show its pixels`, dataset: { class: String(i) }, onclick: (event) => pick({ ...classOf(i), of: Number(event.target.closest(".bar")?.dataset.of ?? 0) }, kind) },
          swatch(colours[i]),
          h("span", { class: "name" }, name),
          h("span", { class: "pair-of-bars" }, columns.map((scores, column) => bar(scores?.iou[name], column, differences?.[column]?.[kind]?.[i]))),
        ),
      ),
    );
    press();
  };
  const press = () => {
    for (const one of list.children) one.setAttribute("aria-pressed", String(singled !== null && "id" in singled && String(singled.id) === one.dataset.class));
  };
  const by = chooser("Measured with", kinds, kind, (key) => {
    kind = key;
    draw();
  });
  const { card: element, body } = card("IoU by class", { class: "card classes-card" }, by.group);
  if (shown.length > 1) body.append(legend(shown));
  body.append(h("p", { class: "help" }, "Choose a class to see its pixels and the images with the most of them."), list);
  draw();
  const mark = (what, name) => {
    singled = what;
    if (what && name !== kind && kinds.some(([key]) => key === name)) {
      kind = name;
      by.set(name);
      draw();
    } else press();
  };
  return { element, mark };
}

/** Whose colour is whose. */
const legend = (shown) => h("p", { class: "help legend-two" }, shown.map((one, i) => h("span", { class: `column-${i}` }, one.title)));

function bar(value, column, difference) {
  const fill = h("i", { class: `column-${column}` });
  fill.style.width = `${value ?? 0}%`;
  return h("span", { class: "bar", dataset: { of: String(column) } }, h("span", { class: "track-bar" }, fill), h("b", {}, perCent(value)), difference === undefined ? null : delta(difference));
}

/** How much better than the first, strong where the interval leaves zero out. */
function delta({ difference, low, high, apart }) {
  if (difference === null) return h("small");
  const title = low === null ? "Too few images contain it for a confidence interval" : `95 % interval over resampled images: ${signed(low)} to ${signed(high)}`;
  return h("small", { class: apart ? "sure" : "", title }, signed(difference));
}

export function swatch(colour) {
  const element = h("i", { class: "swatch" });
  element.style.background = `rgb(${colour.join(",")})`;
  return element;
}

/** How much better interiors are than the borders between classes; null where nobody measured it. */
export function bordersCard(shown) {
  const rows = shown.flatMap((one, i) => {
    const borders = one.report.borders;
    if (!borders) return [];
    return measured(one)
      .map(([key, title]) => [title, borders[key] ?? key.split("_").reverse().reduce((inside, name) => inside?.[name], borders)])
      .filter(([, found]) => found?.border && found?.interior)
      .map(([title, { border, interior }]) =>
        h("tr", {}, h("th", shown.length > 1 ? { "aria-label": `${one.title}: ${title}` } : {}, shown.length > 1 ? h("i", { class: `swatch column-${i}` }) : null, title), [border.accuracy, interior.accuracy, border.miou, interior.miou].map((value) => h("td", {}, perCent(value)))),
      );
  });
  if (!rows.length) return null;
  const { borders, size } = shown.find((one) => one.report.borders).report;
  const any = borders.cluster ?? Object.values(borders).find((one) => one?.border);
  const { pixels: near } = any.border;
  const share = near + any.interior.pixels ? `, ${((100 * near) / (near + any.interior.pixels)).toFixed(1)} % of all` : "";
  const { card: element, body } = card("Borders and interiors", { class: "card borders-card" });
  const heads = ["Acc, border", "Acc, interior", "mIoU, border", "mIoU, interior"];
  if (shown.length > 1) body.append(legend(shown));
  body.append(
    h("p", { class: "help" }, `Border: within ${borders.width} pixels of another true class, in squares of ${size} pixels (${count(near)} pixels${share}).`),
    h("div", { class: "scroll" }, h("table", { class: "numbers" }, h("thead", {}, h("tr", {}, h("th"), heads.map((name) => h("th", {}, name)))), h("tbody", {}, rows))),
  );
  return element;
}
