// One chart: a canvas with its axes and curves, and above it a canvas with the cursor.
import { h } from "../shared/dom.js";
import { nearest } from "./curves.js";
import { exact, logTicks, placeWords, range, short, ticks, unitOf } from "./scales.js";

const BOTTOM = 17, TOP = 7, RIGHT = 8, GAP = 6;
const LEAST_DRAG = 5; // pixels; less is a click
const FEW = 3; // curves whose values stand in a chart's heading
const ZOOM = 2;
const NOTHING = "–"; // where a run has no value
const IN_SIGHT = 0.5; // pixels; what moves by less looks the same

export class Chart {
  /** spec: {kind, name, title, log}; charts: what all charts share. */
  constructor(spec, charts) {
    Object.assign(this, spec);
    this.charts = charts;
    this.inSight = true;
    this.canvas = h("canvas", { tabindex: "0", role: "slider", "aria-label": this.title, "aria-describedby": charts.hint.id });
    this.over = h("canvas", { class: "over", "aria-hidden": "true" });
    this.part = h("div", { class: "part", hidden: true });
    this.value = h("span", { class: "value" });
    this.larger = h("button", { type: "button", class: "quiet", onclick: () => charts.enlarge(charts.large === this ? null : this) });
    this.readout = h("div", { class: "readout", hidden: true });
    this.plot = h("div", { class: "plot" }, this.canvas, this.over, this.part);
    this.element = h("section", { class: "chart", hidden: true, "aria-label": this.title, dataset: { chart: this.name } }, h("header", {}, h("h3", {}, this.title), this.value, this.larger), this.plot, this.readout);
    this.setLarge(false);
    this.listen();
  }

  listen() {
    const { canvas, charts } = this;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      this.dragged = event.offsetX;
      this.move(event.offsetX);
    });
    canvas.addEventListener("pointermove", (event) => this.move(event.offsetX));
    canvas.addEventListener("pointerup", (event) => this.release(event.offsetX));
    canvas.addEventListener("pointercancel", () => this.drop());
    canvas.addEventListener("pointerleave", (event) => {
      // A finger leaves as soon as it is lifted: what it touched stays until the focus goes elsewhere.
      if (this.dragged === undefined && event.pointerType !== "touch") charts.point(null, null);
    });
    canvas.addEventListener("dblclick", () => charts.zoomTo(null));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => charts.point(null, null));
    canvas.addEventListener("focus", () => canvas.matches(":focus-visible") && this.step(0));
  }

  move(x) {
    if (!this.drawn) return;
    if (this.dragged !== undefined) {
      const [a, b] = [this.dragged, x].map((at) => Math.min(Math.max(at, this.left), this.left + this.width)).sort((p, q) => p - q);
      this.part.hidden = b - a < LEAST_DRAG;
      this.part.style.left = `${a}px`;
      this.part.style.width = `${b - a}px`;
    }
    this.charts.point(this.placeAt(x), this);
  }

  release(x) {
    const from = this.dragged;
    this.drop();
    if (from === undefined || Math.abs(x - from) < LEAST_DRAG) return;
    const [a, b] = [from, x].map((at) => this.placeAt(at)).sort((p, q) => p - q);
    this.charts.zoomTo({ from: a, to: b });
  }

  drop() {
    this.dragged = undefined;
    this.part.hidden = true;
  }

  key(event) {
    const moves = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity };
    const acts = { "+": () => this.zoomBy(1 / ZOOM), "=": () => this.zoomBy(1 / ZOOM), "-": () => this.zoomBy(ZOOM), 0: () => this.charts.zoomTo(null), Enter: () => this.charts.enlarge(this.charts.large === this ? null : this) };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) this.step(moves[event.key]);
    else if (event.key in acts) acts[event.key]();
    else return;
    event.preventDefault();
  }

  /** Move the cursor by points of the curve that has most of them; it begins at the end. */
  step(by) {
    if (!this.drawn) return;
    const { x } = this.curves.reduce((a, b) => (b.x.length > a.x.length ? b : a));
    const at = this.charts.at === null ? x.length - 1 : nearest(x, this.charts.at);
    const next = Math.min(Math.max(at + by, 0), x.length - 1);
    this.charts.point(Math.min(Math.max(x[next], this.span.low), this.span.high), this);
  }

  zoomBy(factor) {
    if (!this.drawn) return;
    const { low, high } = this.span;
    const middle = this.charts.at ?? (low + high) / 2;
    const [from, to] = [middle - (middle - low) * factor, middle + (high - middle) * factor];
    const all = factor > 1 && this.whole && from <= this.whole.low && to >= this.whole.high;
    this.charts.zoomTo(all ? null : { from, to });
  }

  setLarge(is) {
    this.element.classList.toggle("large", is);
    this.larger.textContent = is ? "All charts" : "⤢";
    this.larger.setAttribute("aria-label", is ? "Show all charts" : `Show ${this.title} large`);
    this.larger.title = is ? "Escape" : "Show large";
  }

  placeAt(x) {
    const { low, high } = this.span;
    return low + (Math.min(Math.max((x - this.left) / this.width, 0), 1)) * (high - low);
  }

  /** More points have come: draw where that can be seen, and tell the last values in any case. */
  grow() {
    const before = this.curves;
    if (!this.drawn) return this.draw();
    const curves = this.charts.curvesOf(this, this.points);
    const pixel = (this.span.high - this.span.low) / this.width;
    const alike = (curve, i) => {
      const moved = curve.x.at(-1) - this.ends[i];
      const [low, high] = [Math.min(curve.low, curve.edge), curve.high].map(this.turn);
      return curve.run === before[i].run && moved >= 0 && moved < IN_SIGHT * pixel && low >= this.values.low && high <= this.values.high;
    };
    if (curves.length !== before.length || !curves.every(alike)) return this.draw();
    this.curves = curves;
    this.showCursor();
  }

  /** Draw everything; nothing where there is no room, as on a hidden page. */
  draw() {
    const { canvas, charts } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    const context = cleared(canvas, width, height);
    const style = getComputedStyle(canvas);
    const [line, ink] = ["--line", "--ink-2"].map((name) => style.getPropertyValue(name));
    this.colours = { line, ink };
    this.points = Math.max(100, width >> 1); // two for two pixels
    this.curves = charts.curvesOf(this, this.points);
    this.ends = this.curves.map(({ x }) => x.at(-1));
    this.drawn = this.curves.length > 0;
    if (!this.drawn) return this.clear(width, height);
    const log = charts.log && this.log && this.curves.every(({ low }) => low > 0);
    const lows = this.curves.map(({ low, edge }) => (log ? low : Math.min(low, edge)));
    const [low, high] = [Math.min(...lows), Math.max(...this.curves.map((curve) => curve.high))];
    const turn = (this.turn = log ? (value) => Math.log10(Math.max(value, 1e-300)) : (value) => value);
    const values = (this.values = range(turn(low), turn(high)));
    const [first, last] = [Math.min(...this.curves.map(({ x }) => x[0])), Math.max(...this.curves.map(({ x }) => x[x.length - 1]))];
    this.span = charts.zoom ? { low: charts.zoom.from, high: charts.zoom.to } : range(first, last);
    if (!charts.zoom) this.whole = this.span;
    this.height = height - BOTTOM - TOP;
    const rows = (log ? logTicks : ticks)(values, this.height / 30);
    context.font = "10px system-ui, sans-serif";
    this.left = Math.ceil(Math.max(18, ...rows.map(({ text }) => context.measureText(text).width))) + GAP;
    this.width = width - this.left - RIGHT;
    this.axes(context, rows);
    context.beginPath();
    context.rect(this.left, 0, this.width + 1, TOP + this.height + 1);
    context.clip();
    for (const curve of this.curves) {
      const alpha = charts.singled && curve.run !== charts.singled ? 0.15 : 1;
      if (curve.band) this.area(context, curve, 0.2 * alpha);
      if (curve.raw) this.trace(context, curve.raw, curve, 0.25 * alpha);
      this.trace(context, curve.line, curve, alpha);
    }
    this.showCursor();
  }

  /** Nothing of it is in sight. */
  clear(width, height) {
    cleared(this.over, width, height);
    this.marked = false;
    this.readout.hidden = true;
    this.value.replaceChildren("–");
  }

  px(place) {
    return this.left + ((place - this.span.low) / (this.span.high - this.span.low)) * this.width;
  }

  py(value) {
    return TOP + this.height - ((this.turn(value) - this.values.low) / (this.values.high - this.values.low)) * this.height;
  }

  axes(context, rows) {
    const { line, ink } = this.colours;
    Object.assign(context, { strokeStyle: line, fillStyle: ink, lineWidth: 1, textAlign: "right", textBaseline: "middle" });
    context.beginPath();
    for (const { value, text } of rows) {
      const y = Math.round(TOP + this.height - ((value - this.values.low) / (this.values.high - this.values.low)) * this.height) + 0.5;
      context.moveTo(this.left, y);
      context.lineTo(this.left + this.width, y);
      context.fillText(text, this.left - GAP, y);
    }
    context.moveTo(this.left, TOP + this.height + 0.5);
    context.lineTo(this.left + this.width, TOP + this.height + 0.5);
    context.stroke();
    Object.assign(context, { textAlign: "center", textBaseline: "alphabetic" });
    const [unit, size] = this.charts.axis === "time" ? unitOf(this.span.high) : ["", 1];
    const scaled = { low: this.span.low / size, high: this.span.high / size };
    const y = TOP + this.height + BOTTOM - 4;
    let free = -Infinity;
    for (const { value, text } of ticks(scaled, this.width / 64)) {
      const words = unit ? `${text} ${unit}` : text;
      const half = context.measureText(words).width / 2;
      const x = Math.min(Math.max(this.px(value * size), this.left + half - 2), this.left + this.width + RIGHT - half);
      if (x - half < free) continue;
      context.fillText(words, x, y);
      free = x + half + 8;
    }
  }

  trace(context, { x, y }, { colour, dash }, alpha) {
    Object.assign(context, { strokeStyle: colour, fillStyle: colour, globalAlpha: alpha, lineWidth: 1.5, lineJoin: "bevel" });
    context.setLineDash(dash);
    context.beginPath();
    if (x.length === 1) context.arc(this.px(x[0]), this.py(y[0]), 2.5, 0, 2 * Math.PI);
    else for (let i = 0; i < x.length; i++) context.lineTo(this.px(x[i]), this.py(y[i]));
    if (x.length === 1) context.fill();
    else context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  area(context, { band: { x, low, high }, colour }, alpha) {
    Object.assign(context, { fillStyle: colour, globalAlpha: alpha });
    context.beginPath();
    for (let i = 0; i < x.length; i++) context.lineTo(this.px(x[i]), this.py(high[i]));
    for (let i = x.length - 1; i >= 0; i--) context.lineTo(this.px(x[i]), this.py(low[i]));
    context.fill();
    context.globalAlpha = 1;
  }

  /** The cursor of all charts, and the values there; without one, the last values. */
  showCursor() {
    if (!this.drawn) return;
    const { at, pointed } = this.charts;
    const points = this.curves.map((curve) => ({ ...curve, point: at === null ? curve.x.length - 1 : pointAt(curve.x, at) }));
    this.say(points, at);
    this.readout.hidden = at === null || pointed !== this;
    if (at === null && !this.marked) return; // most of the time nobody points at anything
    this.marked = at !== null;
    const context = cleared(this.over, this.canvas.clientWidth, this.canvas.clientHeight);
    if (at === null) return;
    Object.assign(context, { strokeStyle: this.colours.ink, globalAlpha: 0.6, lineWidth: 1 });
    const x = Math.round(this.px(at)) + 0.5;
    context.beginPath();
    context.moveTo(x, TOP);
    context.lineTo(x, TOP + this.height);
    context.stroke();
    context.globalAlpha = 1;
    for (const curve of points) {
      const place = curve.x[curve.point] ?? -Infinity;
      if (place < this.span.low || place > this.span.high) continue;
      context.fillStyle = curve.colour;
      context.beginPath();
      context.arc(this.px(place), this.py(curve.y[curve.point]), 2.5, 0, 2 * Math.PI);
      context.fill();
    }
    if (pointed === this) this.tell(points, at);
  }

  /** In the heading: each run's value beside its colour, or of many the least and the largest. */
  say(points, at) {
    const known = points.filter(({ point }) => point >= 0);
    const values = known.map(({ y, point }) => y[point]);
    const shown = points.length === 1 || !known.length ? [known.length ? short(values[0]) : NOTHING]
      : known.length <= FEW ? known.map((curve, i) => [swatch(curve), `${short(values[i])} `])
      : [`${short(Math.min(...values))} to ${short(Math.max(...values))}`];
    this.value.replaceChildren(...shown.flat());
    const span = at ?? this.span.high;
    for (const [name, value] of [["valuemin", this.span.low], ["valuemax", this.span.high], ["valuenow", span]]) this.canvas.setAttribute(`aria-${name}`, String(+value.toPrecision(6)));
    const words = points.map(({ run, y, point }) => (points.length > 1 ? `${run} ${valueWords(y, point)}` : valueWords(y, point)));
    this.canvas.setAttribute("aria-valuetext", `${at === null ? "Last" : placeWords(this.charts.axis, at)}: ${words.join(", ")}`);
  }

  /** Below the chart that is pointed at: where, and whose value is whose, the largest first. */
  tell(points, at) {
    const one = points.length === 1 && points[0].point >= 0 ? points[0].x[points[0].point] : at;
    const height = ({ y, point }) => y[point] ?? -Infinity;
    const sorted = points.toSorted((a, b) => height(b) - height(a) || 0);
    const row = (curve) => {
      const { point, band } = curve;
      const spread = band && point >= 0 ? ` (${short(band.low[point])} to ${short(band.high[point])})` : "";
      return h("li", {}, swatch(curve), h("span", { class: "name" }, curve.run), h("b", {}, valueWords(curve.y, point)), spread);
    };
    this.readout.replaceChildren(h("div", {}, placeWords(this.charts.axis, one)), h("ul", {}, sorted.map(row)));
  }
}

/** The point nearest to a place; −1 where a curve has not begun there, or has ended. */
function pointAt(x, at) {
  const last = x.length - 1;
  const before = x[0] - ((x[1] ?? x[0]) - x[0]);
  const after = x[last] + (x[last] - (x[last - 1] ?? x[last]));
  return at < before || at > after ? -1 : nearest(x, at);
}

const valueWords = (y, point) => (point < 0 ? NOTHING : exact(y[point]));

/** A canvas of the size it has on screen, empty. */
function cleared(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const size = [width, height].map((side) => Math.round(side * ratio));
  const context = canvas.getContext("2d");
  if (canvas.width === size[0] && canvas.height === size[1]) {
    context.reset(); // cheaper than new memory
  } else {
    [canvas.width, canvas.height] = size;
  }
  context.scale(ratio, ratio);
  return context;
}

/** A piece of a run's line. */
export function swatch({ colour, dash = [] }) {
  const mark = h("i", {});
  const [on, off] = dash;
  mark.style.background = on ? `repeating-linear-gradient(90deg, ${colour} 0 ${on}px, transparent ${on}px ${on + off}px)` : colour;
  return mark;
}
