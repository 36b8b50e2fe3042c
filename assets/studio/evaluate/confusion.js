// Confusion matrices as tables whose cells can be chosen, with the mouse and with the keyboard.
import { card, choice, count, h } from "../shared/dom.js";
import { chooser, kindsOf, measured } from "./report.js";
import { NO_CLASS, cellOf, classOf } from "./singled.js";

export const MOST_IN_MATRIX = 60;
const MOST_LISTED = 40;
const CONTRAST = 4.5;
const MOST_WITH_NUMBERS = 16;
const BY = [["row", "By row", "Percentage of the true class"], ["column", "By column", "Percentage of the predicted class"], ["pixels", "Pixels", "Counts"]];

/**
 * shown: reports of the same classes; pick(what, kind): a cell or a class was chosen.
 * Returns {element, draw(), mark(what, kind)}; draw again where the theme has changed.
 */
export function confusionCard(shown, pick) {
  const kinds = kindsOf(shown);
  const look = { kind: kinds[0][0], by: "row", diagonal: true };
  const { classes } = shown[0].report;
  const large = classes.length > MOST_IN_MATRIX;
  const matrices = shown.map((one, of) => (large ? new Pairs(classes, (what) => pick({ ...what, of }, look.kind)) : new Matrix(classes, (what) => pick({ ...what, of }, look.kind), (text) => (readout.textContent = text))));
  const readout = h("p", { class: "readout", role: "status" });
  let singled = null;
  const draw = () => {
    shown.forEach((one, i) => {
      const scores = measured(one).find(([key]) => key === look.kind)?.[2];
      matrices[i].element.parentElement.hidden = !scores;
      if (scores) matrices[i].draw(scores.confusion, look);
      matrices[i].mark(singled && singled.of === i && singled.kind === look.kind ? singled : null);
    });
  };
  const kind = chooser("Matrix of", kinds, look.kind, (key) => {
    look.kind = key;
    draw();
  });
  const by = choice("Numbers", BY, look.by, (key) => {
    look.by = key;
    draw();
  });
  const diagonal = h("button", { type: "button", class: "toggle", "aria-pressed": "true", title: "Include correct pixels; without them, the whole colour scale is for mistakes", onclick: () => {
    look.diagonal = !look.diagonal;
    diagonal.setAttribute("aria-pressed", String(look.diagonal));
    draw();
  } }, "Diagonal");
  const { card: element, body } = card("Confusion", { class: "card confusion-card" }, kind.group);
  const text = large ? "There are too many classes to show a matrix; these are the most frequent mistakes. Choose one to see its pixels." : "Rows are true classes, columns predicted classes. Choose a cell to see its pixels, or a name to see all mistakes in its row or column.";
  body.append(
    h("p", { class: "help" }, text),
    large ? null : h("div", { class: "tools" }, by.group, diagonal),
    h("div", { class: "confusions", dataset: { count: String(shown.length) } }, shown.map((one, i) => h("div", {}, shown.length > 1 ? h("h3", {}, one.title) : null, matrices[i].element))),
    large ? null : readout,
  );
  const mark = (what, name) => {
    singled = what && { ...what, kind: name };
    if (what && name !== look.kind && kinds.some(([key]) => key === name)) {
      look.kind = name;
      kind.set(name);
    }
    draw();
  };
  return { element, draw, mark };
}

class Matrix {
  constructor(classes, pick, tell) {
    Object.assign(this, { classes, pick, tell, at: [0, 0] });
    this.element = h("div", { class: "scroll matrix" });
  }

  draw(counts, look) {
    const { classes } = this;
    const over = counts.some((row) => row[classes.length] > 0);
    const names = over ? [...classes, "no class"] : classes;
    const style = getComputedStyle(document.querySelector(".ppap"));
    const [paper, accent, ink, light] = ["--field", "--accent", "--ink", "--accent-ink"].map((name) => channels(style.getPropertyValue(name)));
    const rows = counts.map((row) => row.reduce((sum, one) => sum + one, 0));
    const columns = names.map((_, j) => counts.reduce((sum, row) => sum + row[j], 0));
    const whole = { row: (i) => rows[i], column: (_, j) => columns[j], pixels: () => 100 }[look.by];
    const value = (i, j) => (whole(i, j) ? (100 * counts[i][j]) / whole(i, j) : null);
    const left = (i, j) => look.diagonal || i !== j;
    const most = Math.max(...counts.flatMap((_, i) => names.map((__, j) => (left(i, j) ? (value(i, j) ?? 0) : 0))), 1e-9);
    const full = look.by !== "pixels" && look.diagonal ? 100 : most;
    this.told = (i, j) => {
      const share = (all) => (all ? `${((100 * counts[i][j]) / all).toFixed(1)} %` : "–");
      return `true ${classes[i]}, predicted ${names[j]}: ${count(counts[i][j])} pixels, ${share(rows[i])} of its row, ${share(columns[j])} of its column`;
    };
    const cell = (i, j) => {
      const number = value(i, j);
      const shown = left(i, j) ? number : null;
      const colour = mixed(paper, accent, shown === null ? 0 : Math.min(1, shown / full));
      const text = shown === null || classes.length > MOST_WITH_NUMBERS ? "" : look.by === "pixels" ? short(shown) : shown.toFixed(0);
      const one = h("td", { tabindex: "-1", "aria-label": this.told(i, j), dataset: { cell: `${i}.${j}`, value: number === null ? "" : String(number) } }, text);
      one.style.background = `rgb(${colour.join(" ")})`;
      one.style.color = `rgb(${legible(colour, [ink, light, [0, 0, 0], [255, 255, 255]]).join(" ")})`;
      return one;
    };
    const head = (name, title, cell, attributes) => h("th", { ...attributes, tabindex: "-1", title, "aria-label": title, dataset: { cell } }, h("span", {}, name));
    const table = h(
      "table",
      { role: "grid", "aria-label": "Confusion matrix", onclick: (event) => this.choose(event.target.closest("[data-cell]")), onkeydown: (event) => this.key(event), onpointerover: (event) => this.over(event), onpointerleave: () => this.tell(""), onfocusin: (event) => this.over(event) },
      h("thead", {}, h("tr", {}, h("td"), names.map((name, j) => head(name, j < classes.length ? `Mistaken for ${name}` : "Pixels of clusters without a class", `-1.${j}`, { scope: "col" })))),
      h("tbody", {}, counts.map((_, i) => h("tr", {}, head(classes[i], `${classes[i]}, missed`, `${i}.-1`, { scope: "row" }), names.map((__, j) => cell(i, j))))),
    );
    this.columns = names.length;
    table.style.setProperty("--columns", String(names.length));
    const focused = this.element.contains(document.activeElement);
    this.element.replaceChildren(table);
    this.element.dataset.drawn = "true";
    this.focus(...this.at, focused);
  }

  cell(i, j) {
    return this.element.querySelector(`[data-cell="${i}.${j}"]`);
  }

  /** One cell takes part in the order of the Tab key. */
  focus(i, j, now = true) {
    const found = this.cell(i, j) ?? this.cell(0, 0);
    for (const other of this.element.querySelectorAll("[tabindex='0']")) other.tabIndex = -1;
    found.tabIndex = 0;
    this.at = found.dataset.cell.split(".").map(Number);
    if (now) found.focus();
  }

  key(event) {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const [i, j] = this.at;
    if (event.key === "Enter" || event.key === " ") this.choose(event.target.closest("[data-cell]"));
    else if (step && this.cell(i + step[0], j + step[1])) this.focus(i + step[0], j + step[1]);
    else if (event.key === "Home") this.focus(i, 0);
    else if (event.key === "End") this.focus(i, this.columns - 1);
    else return;
    event.preventDefault();
  }

  over(event) {
    const cell = event.target.closest("[data-cell]");
    const [i, j] = cell ? cell.dataset.cell.split(".").map(Number) : [-1, -1];
    this.tell(cell ? (i < 0 || j < 0 ? cell.title : this.told(i, j)) : "");
  }

  choose(cell) {
    if (!cell) return;
    const [i, j] = cell.dataset.cell.split(".").map(Number);
    this.focus(i, j);
    if (i >= 0 && j >= 0) this.pick(cellOf(i, j, this.classes.length));
    else if (i >= 0) this.pick(classOf(i, "missed"));
    else if (j < this.classes.length) this.pick(classOf(j, "called"));
  }

  mark(what) {
    for (const one of this.element.querySelectorAll(".chosen")) one.classList.remove("chosen");
    if (!what) return;
    const of = "id" in what ? { missed: `${what.id}.-1`, called: `-1.${what.id}` }[what.part] : `${what.truth}.${what.predicted === NO_CLASS ? this.classes.length : what.predicted}`;
    this.element.querySelector(`[data-cell="${of}"]`)?.classList.add("chosen");
  }
}

/** The largest mistakes as a list, where a matrix would be too large. */
class Pairs {
  constructor(classes, pick) {
    Object.assign(this, { classes, pick });
    this.element = h("ul", { class: "pairs" });
  }

  draw(counts) {
    const found = [];
    counts.forEach((row, i) => row.forEach((pixels, j) => i !== j && pixels > 0 && found.push([pixels, i, j])));
    found.sort((a, b) => b[0] - a[0]);
    const name = (j) => this.classes[j] ?? "no class";
    this.element.replaceChildren(
      ...found.slice(0, MOST_LISTED).map(([pixels, i, j]) => h("li", {}, h("button", { type: "button", dataset: { cell: `${i}.${j}` }, onclick: () => this.pick(cellOf(i, j, this.classes.length)) }, h("span", {}, `${name(i)}, taken for ${name(j)}`), h("b", {}, count(pixels))))),
    );
    this.element.dataset.drawn = "true";
  }

  mark(what) {
    for (const one of this.element.querySelectorAll("button")) one.classList.toggle("chosen", Boolean(what && !("id" in what) && one.dataset.cell === `${what.truth}.${what.predicted === NO_CLASS ? this.classes.length : what.predicted}`));
  }
}

const short = (value) => (value < 1000 ? String(value) : value < 1e5 ? `${(value / 1e3).toFixed(1)}k` : value < 1e6 ? `${(value / 1e3).toFixed(0)}k` : `${(value / 1e6).toFixed(1)}M`);

function channels(text) {
  const hex = text.trim().replace("#", "");
  return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

const mixed = (from, to, share) => from.map((one, i) => Math.round(one + (to[i] - one) * share));

/** The first colour that has enough contrast to the paper; black or white always has. */
function legible(paper, inks) {
  const light = (colour) => {
    const [r, g, b] = colour.map((v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (ink) => {
    const [a, b] = [light(ink), light(paper)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  return inks.find((ink) => contrast(ink) >= CONTRAST) ?? inks[0];
}
