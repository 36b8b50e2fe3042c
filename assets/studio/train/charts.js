// Small curves on canvases: several runs overlaid, smoothing, log axis, and what lies under the mouse.
import { h } from "../shared/dom.js";

// Told apart in light and in dark, by people who see colours differently, too.
const RUN_COLOURS = ["#3d7bff", "#dc267f", "#fe8100", "#1a9e77", "#8a5cf6", "#b08900", "#0aa2c0", "#d6453d"];
const CHARTS = [
  ["step", "loss", "Loss"],
  ["step", "precision", "Precision of P"],
  ["step", "positives", "Mean |P|"],
  ["step", "ambiguous", "Mean |A|"],
  ["step", "negatives", "Mean |N|"],
  ["validation", "cluster_miou", "Clusters: mIoU, %"],
  ["validation", "cluster_accuracy", "Clusters: accuracy, %"],
  ["validation", "linear_miou", "Linear: mIoU, %"],
  ["validation", "linear_accuracy", "Linear: accuracy, %"],
  ["step", "cluster_loss", "Loss of the cluster probe"],
  ["step", "linear_loss", "Loss of the linear probe"],
  ["step", "lr", "Learning rate"],
  ["step", "gradient_norm", "Gradient norm"],
  ["step", "images_per_second", "Images a second"],
  ["step", "memory_mb", "Memory, MB"],
];
const LEFT = 46, BOTTOM = 16, TOP = 6, RIGHT = 6;

export const runColour = (index) => RUN_COLOURS[index % RUN_COLOURS.length];

/** Short for an axis: 0.0012, 12.3, 45k, 1e-7. */
export function short(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) return value.toExponential(1).replace(".0e", "e");
  if (size >= 1e4) return `${+(value / 1000).toPrecision(3)}k`;
  return String(+value.toPrecision(3));
}

/** An exponential mean, corrected for its beginning; weight 0 changes nothing. */
export function smoothed(values, weight) {
  if (!weight) return values;
  let mean = 0, sum = 0;
  return values.map((value) => {
    mean = weight * mean + (1 - weight) * value;
    sum = weight * sum + (1 - weight);
    return mean / sum;
  });
}

export class Charts {
  constructor() {
    this.smoothing = 0;
    this.log = false;
    this.runs = []; // [{name, colour, series: {kind: {name: {x, y}}}}]
    const slider = h("input", {
      type: "range", min: "0", max: "0.99", step: "0.01", value: "0", "aria-label": "Smoothing", dataset: { part: "smoothing" },
      oninput: () => {
        this.smoothing = Number(slider.value);
        slider.style.setProperty("--share", `${(100 * this.smoothing) / 0.99}%`);
        this.draw();
      },
    });
    slider.style.setProperty("--share", "0%");
    this.logButton = h("button", { type: "button", class: "toggle", "aria-pressed": "false", title: "Logarithmic axis, where all values are above 0", onclick: () => {
      this.log = !this.log;
      this.logButton.setAttribute("aria-pressed", String(this.log));
      this.draw();
    } }, "Log axis");
    this.tools = h("div", { class: "chart-tools" }, h("span", { class: "smooth" }, h("span", {}, "Smoothing"), slider), this.logButton);
    this.key = h("div", { class: "key" });
    this.grid = h("div", { class: "charts" });
    this.none = h("p", { class: "empty" }, "Curves appear with the first logged step.");
    this.element = h("div", { class: "card-body", style: "padding: 0" }, this.tools, this.key, this.none, this.grid);
    this.charts = CHARTS.map(([kind, name, title]) => this.chart(kind, name, title));
    this.grid.append(...this.charts.map((chart) => chart.element));
    new ResizeObserver(() => this.drawSoon()).observe(this.grid);
    new MutationObserver(() => this.drawSoon()).observe(document.body, { attributeFilter: ["class"] });
  }

  chart(kind, name, title) {
    const canvas = h("canvas", { role: "img", "aria-label": title });
    const value = h("span", { class: "value" });
    const element = h("section", { class: "chart", hidden: true, dataset: { chart: name } }, h("header", {}, h("h3", {}, title), value), canvas);
    const chart = { kind, name, title, canvas, value, element, at: null };
    canvas.addEventListener("pointermove", (event) => {
      chart.at = event.offsetX;
      this.drawOne(chart);
    });
    canvas.addEventListener("pointerleave", () => {
      chart.at = null;
      this.drawOne(chart);
    });
    return chart;
  }

  setRuns(runs) {
    this.runs = runs;
    const several = runs.length > 1;
    this.key.hidden = !several;
    this.key.replaceChildren(...runs.map(({ name, colour }) => h("span", {}, swatch(colour), name)));
    this.draw();
  }

  drawSoon() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      this.draw();
    });
  }

  draw() {
    let any = false;
    for (const chart of this.charts) {
      const has = this.runs.some((run) => run.series[chart.kind]?.[chart.name]?.x.length);
      chart.element.hidden = !has;
      any ||= has;
      if (has) this.drawOne(chart);
    }
    this.none.hidden = any;
    this.tools.hidden = !any;
  }

  drawOne(chart) {
    const { canvas } = chart;
    const [width, height, ratio] = [canvas.clientWidth, canvas.clientHeight, window.devicePixelRatio || 1];
    if (!width) return;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const style = getComputedStyle(canvas);
    const curves = this.curves(chart, Math.max(100, width >> 1)); // two points for two pixels
    const log = this.log && curves.every(({ low }) => low > 0);
    const turn = log ? Math.log10 : (value) => value;
    const span = range(curves.flatMap(({ low, high }) => [turn(low), turn(high)]));
    const steps = range(curves.flatMap(({ x }) => [x[0], x[x.length - 1]]));
    const px = (step) => LEFT + ((step - steps.low) / (steps.high - steps.low)) * (width - LEFT - RIGHT);
    const py = (value) => height - BOTTOM - ((turn(value) - span.low) / (span.high - span.low)) * (height - BOTTOM - TOP);
    const back = log ? (value) => 10 ** value : (value) => value;
    axes(context, { width, height, span, steps, back, line: style.getPropertyValue("--line"), ink: style.getPropertyValue("--ink-2") });
    for (const { x, y, raw, colour } of curves) {
      if (raw) trace(context, raw.x, raw.y, px, py, colour, 0.25);
      trace(context, x, y, px, py, colour, 1);
    }
    chart.value.textContent = this.words(chart, curves, px, context, height, style.getPropertyValue("--ink-2"));
  }

  /** What is drawn of a chart: one curve for each run, smoothed, no finer than the screen. */
  curves({ kind, name }, width) {
    return this.runs.flatMap(({ series, colour, name: run }) => {
      const found = series[kind]?.[name];
      if (!found?.x.length) return [];
      // Most runs have nothing new most of the time.
      const key = `${found.x.length} ${found.x[found.x.length - 1]} ${this.smoothing} ${width}`;
      if (found.drawn?.key !== key) {
        const raw = thinned(found.x, found.y, width);
        const main = this.smoothing ? thinned(found.x, smoothed(found.y, this.smoothing), width) : raw;
        found.drawn = { key, ...main, raw: this.smoothing ? raw : null, ...extent(main.y) };
      }
      return [{ ...found.drawn, colour, run }];
    });
  }

  /** The value under the mouse, or the last. */
  words(chart, curves, px, context, height, ink) {
    if (chart.at === null) return curves.map(({ y }) => short(y[y.length - 1])).join("  ");
    let step = null;
    const values = curves.map(({ x, y }) => {
      let best = 0;
      for (let i = 1; i < x.length; i++) if (Math.abs(px(x[i]) - chart.at) < Math.abs(px(x[best]) - chart.at)) best = i;
      step ??= x[best];
      return short(y[best]);
    });
    context.strokeStyle = ink;
    context.globalAlpha = 0.5;
    context.beginPath();
    context.moveTo(px(step), TOP);
    context.lineTo(px(step), height - BOTTOM);
    context.stroke();
    context.globalAlpha = 1;
    return `step ${step}: ${values.join("  ")}`;
  }
}

function swatch(colour) {
  const mark = h("i", {});
  mark.style.background = colour;
  return mark;
}

/** Of every stretch of a long curve the least and the largest, so that peaks stay. */
export function thinned(x, y, most) {
  if (x.length <= 2 * most) return { x, y };
  const kept = { x: [], y: [] };
  for (let part = 0; part < most; part++) {
    const [first, end] = [part, part + 1].map((i) => Math.floor((i * x.length) / most));
    let low = first, high = first;
    for (let i = first + 1; i < end; i++) {
      if (y[i] < y[low]) low = i;
      if (y[i] > y[high]) high = i;
    }
    for (const i of low === high ? [low] : [Math.min(low, high), Math.max(low, high)]) {
      kept.x.push(x[i]);
      kept.y.push(y[i]);
    }
  }
  return kept;
}

function extent(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return { low, high };
}

/** Least and largest, apart even where all values are the same. */
function range(values) {
  const { low, high } = extent(values);
  const room = high > low ? 0 : Math.max(Math.abs(high) * 0.1, 1e-6);
  return { low: low - room, high: high + room };
}

function axes(context, { width, height, span, steps, back, line, ink }) {
  context.font = "10px system-ui, sans-serif";
  context.strokeStyle = line;
  context.fillStyle = ink;
  context.lineWidth = 1;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const share of [0, 0.5, 1]) {
    const y = height - BOTTOM - share * (height - BOTTOM - TOP);
    context.beginPath();
    context.moveTo(LEFT, y);
    context.lineTo(width - RIGHT, y);
    context.stroke();
    context.fillText(short(back(span.low + share * (span.high - span.low))), LEFT - 5, y);
  }
  context.textBaseline = "bottom";
  context.textAlign = "left";
  context.fillText(short(Math.max(0, steps.low)), LEFT, height);
  context.textAlign = "right";
  context.fillText(short(steps.high), width - RIGHT, height);
}

function trace(context, x, y, px, py, colour, alpha) {
  context.strokeStyle = context.fillStyle = colour;
  context.globalAlpha = alpha;
  context.lineWidth = 1.5;
  context.beginPath();
  if (x.length === 1) context.arc(px(x[0]), py(y[0]), 2.5, 0, 2 * Math.PI);
  for (let i = 0; i < x.length; i++) {
    if (i) context.lineTo(px(x[i]), py(y[i]));
    else if (x.length > 1) context.moveTo(px(x[i]), py(y[i]));
  }
  if (x.length === 1) context.fill();
  else context.stroke();
  context.globalAlpha = 1;
}
