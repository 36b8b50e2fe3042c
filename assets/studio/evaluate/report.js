// A report in the page: scores beside the paper's, bars by class, confusion matrix.
import { card, choice, h } from "../shared/dom.js";
import { perCent } from "./form.js";
import { loadPlotly } from "../shared/plotly.js";

const MEASURES = ["U-Acc", "U-mIoU", "L-Acc", "L-mIoU"];
const MOST_IN_MATRIX = 60;

/** What a report has been measured with: [key, title, scores]. */
export function measured({ report }) {
  const found = [["cluster", "Clusters", report.cluster], ["linear", "Linear probe", report.linear]];
  if (report.crf) found.push(["cluster_crf", "Clusters, CRF", report.crf.cluster], ["linear_crf", "Linear, CRF", report.crf.linear]);
  return found.filter(([, , scores]) => scores);
}

export function scoresCard(shown) {
  const { card: element, body } = card("Scores", { class: "card scores" });
  const rows = shown.flatMap((one, i) =>
    (one.scores ?? [])
      .filter(([label]) => i === 0 || label.startsWith("measured"))
      .map(([label, values]) => {
        const own = label.startsWith("measured");
        const name = own && shown.length > 1 ? label.replace("measured here", one.title) : label;
        return h("tr", { class: own ? "measured" : "" }, h("th", {}, name), values.map((value) => h("td", {}, perCent(value))));
      }),
  );
  body.append(
    h("p", { class: "subject" }, shown.map((one) => h("span", {}, one.subject))),
    h("div", { class: "scroll" }, h("table", { class: "numbers" }, h("thead", {}, h("tr", {}, h("th", {}), MEASURES.map((name) => h("th", {}, name)))), h("tbody", {}, rows))),
    h("p", { class: "help" }, shown[0].explanation),
    h("p", { class: "help" }, shown[0].no_paper ?? ""),
    h("ul", { class: "notes" }, shown.flatMap((one) => one.report.notes.map((note) => h("li", { class: /^(Warning|Reservation)/.test(note) ? "warning" : "" }, shown.length > 1 ? `${one.title}: ${note}` : note)))),
  );
  return element;
}

/** IoU of every class as bars, of one report or of two beside each other. */
export function classesCard(shown) {
  const kinds = measured(shown[0]);
  const list = h("div", { class: "bars" });
  const draw = (kind) => {
    const columns = shown.map((one) => measured(one).find(([key]) => key === kind)?.[2]);
    const { classes, colours } = shown[0].report;
    list.replaceChildren(
      ...classes.map((name, i) =>
        h(
          "div",
          { class: "bar-row" },
          swatch(colours[i]),
          h("span", { class: "name", title: name }, name),
          h("div", { class: "pair-of-bars" }, columns.map((scores, column) => bar(scores?.iou[name], column))),
        ),
      ),
    );
  };
  const by = choice("Measured with", kinds.map(([key, title]) => [key, title]), kinds[0][0], draw);
  const { card: element, body } = card("IoU by class", { class: "card classes-card" }, by.group);
  if (shown.length > 1) body.append(h("p", { class: "help legend-two" }, shown.map((one, i) => h("span", { class: `column-${i}` }, one.title))));
  body.append(list);
  draw(kinds[0][0]);
  return element;
}

function bar(value, column) {
  const fill = h("i", { class: `column-${column}` });
  fill.style.width = `${value ?? 0}%`;
  return h("div", { class: "bar" }, h("span", { class: "track-bar" }, fill), h("b", {}, perCent(value)));
}

export function swatch(colour) {
  const element = h("i", { class: "swatch" });
  element.style.background = `rgb(${colour.join(",")})`;
  return element;
}

/** Confusion matrices as Plotly heat maps, in per cent of the true class. */
export function confusionCard(shown) {
  const kinds = measured(shown[0]);
  const plots = shown.map(() => h("div", { class: "confusion", role: "img", "aria-label": "Confusion matrix", dataset: { drawn: "false" } }));
  const problem = h("p", { class: "field-error", hidden: true });
  let kind = kinds[0][0];
  const draw = async () => {
    try {
      const plotly = await loadPlotly();
      shown.forEach((one, i) => {
        const scores = measured(one).find(([key]) => key === kind)?.[2];
        if (scores) heatMap(plotly, plots[i], one.report.classes, scores.confusion);
        plots[i].hidden = !scores;
      });
    } catch (error) {
      problem.hidden = false;
      problem.textContent = error.message;
    }
  };
  const by = choice("Matrix of", kinds.map(([key, title]) => [key, title]), kind, (key) => {
    kind = key;
    draw();
  });
  const { card: element, body } = card("Confusion", { class: "card" }, by.group);
  if (shown[0].report.classes.length > MOST_IN_MATRIX) {
    by.group.hidden = true;
    body.append(h("p", { class: "help" }, "A matrix of so many classes is too large to look at; report.json has it."));
    return { element, draw: () => {} };
  }
  body.append(
    h("p", { class: "help" }, "Rows: true classes. Columns: predicted ones. Per cent of the row; point at a cell for its pixels."),
    problem,
    h("div", { class: "confusions", dataset: { count: String(shown.length) } }, shown.map((one, i) => h("div", {}, shown.length > 1 ? h("h3", {}, one.title) : null, plots[i]))),
  );
  return { element, draw };
}

function heatMap(plotly, plot, classes, counts) {
  const style = getComputedStyle(plot);
  const ink = style.getPropertyValue("--ink").trim();
  const over = counts.some((row) => row[classes.length] > 0);
  const names = classes.map(plain);
  const columns = [...names, ...(over ? ["no class"] : [])];
  const shares = counts.map((row) => {
    const total = row.reduce((sum, one) => sum + one, 0);
    return columns.map((_, i) => (total ? (100 * row[i]) / total : null));
  });
  const paper = style.getPropertyValue("--field").trim();
  const accent = style.getPropertyValue("--accent").trim();
  const size = Math.max(320, Math.min(720, 110 + 24 * classes.length));
  plot.style.height = `${size}px`;
  const trace = {
    type: "heatmap",
    z: shares,
    x: columns,
    y: names,
    customdata: counts.map((row) => columns.map((_, i) => row[i].toLocaleString("en-US"))),
    hovertemplate: "true %{y}<br>predicted %{x}<br>%{z:.1f} %, %{customdata} pixels<extra></extra>",
    colorscale: [[0, paper], [1, accent]],
    zmin: 0,
    zmax: 100,
    xgap: 1,
    ygap: 1,
    showscale: false,
    texttemplate: classes.length <= 16 ? "%{z:.0f}" : "",
    textfont: { size: 10 },
  };
  const axis = { color: ink, tickfont: { size: 11 }, ticks: "", showgrid: false, zeroline: false, automargin: true, fixedrange: true, type: "category" };
  const layout = {
    margin: { l: 8, r: 8, t: 8, b: 8 },
    xaxis: { ...axis, tickangle: -50 },
    yaxis: { ...axis, autorange: "reversed" },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: style.fontFamily, color: ink },
  };
  plotly.react(plot, [trace], layout, { displayModeBar: false, responsive: true });
  plot.dataset.drawn = "true";
}

/** Plotly reads a little markup in its texts: class names must not be any. */
const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
