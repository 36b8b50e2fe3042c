// The curves of several runs in small charts that share their axis, their zoom and their cursor.
import { choice, h, newId, select } from "../shared/dom.js";
import { Chart, swatch } from "./chart.js";
import { band, refined, stepsOf } from "./curves.js";
import { groups, prepared } from "./prepared.js";
import { placeWords } from "./scales.js";

// Kind, name, title, and whether a logarithmic axis helps.
export const CHARTS = [
  ["step", "loss", "Loss", true],
  ["step", "precision", "Precision of P", false],
  ["step", "positives", "Mean |P|", true],
  ["step", "ambiguous", "Mean |A|", true],
  ["step", "negatives", "Mean |N|", true],
  ["validation", "cluster_miou", "Clusters: mIoU, %", false],
  ["validation", "cluster_accuracy", "Clusters: accuracy, %", false],
  ["validation", "linear_miou", "Linear: mIoU, %", false],
  ["validation", "linear_accuracy", "Linear: accuracy, %", false],
  ["step", "cluster_loss", "Loss of the cluster probe", true],
  ["step", "linear_loss", "Loss of the linear probe", true],
  ["step", "lr", "Learning rate", true],
  ["step", "gradient_norm", "Gradient norm", true],
  ["step", "images_per_second", "Images per second", false],
  ["step", "memory_mb", "Memory, MB", false],
];
const AXES = [["step", "Step"], ["epoch", "Epoch"], ["time", "Time"]];
const EACH = "each";
const SEEDS = [[EACH, "Each run"], ["deviation", "Mean ± standard deviation"], ["extremes", "Mean, minimum to maximum"]];
const LARGEST_SMOOTHING = 0.99;
const FINER_MS = 250; // a zoom that stays for so long is worth more points
const HINT = "Arrow keys move the cursor. Plus and minus zoom, 0 shows everything, Enter shows this chart large.";

export class Charts {
  /** hooks: {looked(), finer(run, from, to) → {file, series}}; from and to are steps. */
  constructor(hooks) {
    this.hooks = hooks;
    this.smoothing = 0;
    this.log = false;
    this.axis = "step";
    this.seeds = EACH;
    this.zoom = null; // {from, to} on the axis
    this.large = null;
    this.singled = null; // a run whose curves stand out
    this.at = null; // where the cursor is, on the axis
    this.pointed = null; // the chart it is moved in
    this.runs = []; // [{name, colour, dash, fold, file, series: {kind: {name: {x, y, m?}}}}]
    this.groups = []; // of runs that differ in their seed only
    this.finer = new Map(); // by run: {file, series}
    this.prepared = new WeakMap(); // by curve: what is drawn of it
    this.hint = h("p", { id: newId("hint"), hidden: true }, HINT);
    this.element = h("div", { class: "card-body", style: "padding: 0" }, this.tools(), this.key, this.missing, this.none, this.grid, this.hint);
    this.charts = CHARTS.map(([kind, name, title, log]) => new Chart({ kind, name, title, log }, this));
    this.grid.append(...this.charts.map(({ element }) => element));
    this.watch();
  }

  tools() {
    const again = (act) => (value) => {
      act(value);
      this.draw();
      this.hooks.looked();
    };
    this.slider = h("input", { type: "range", min: "0", max: String(LARGEST_SMOOTHING), step: "0.01", value: "0", "aria-label": "Smoothing", dataset: { part: "smoothing" }, oninput: () => again((value) => this.smooth(value))(Number(this.slider.value)) });
    this.logButton = h("button", { type: "button", class: "toggle", "aria-pressed": "false", title: "Logarithmic axis for losses, set sizes, rates and norms", onclick: () => again(() => this.setLog(!this.log))() }, "Log axis");
    this.axisChoice = choice("Horizontal axis", AXES, this.axis, again((axis) => this.setAxis(axis)));
    this.seedChoice = select("Seeds", SEEDS, this.seeds, again((seeds) => this.setSeeds(seeds)), "Draw runs that differ only in their seed as one curve");
    this.whole = h("button", { type: "button", hidden: true, title: "Double-click in a chart", onclick: () => this.zoomTo(null) }, "Show all");
    this.range = h("output", {});
    this.key = h("div", { class: "run-key" });
    this.missing = h("p", { class: "help", role: "status", hidden: true });
    this.grid = h("div", { class: "charts", onkeydown: (event) => event.key === "Escape" && this.escape(event) });
    this.none = h("p", { class: "empty" }, "Curves appear with the first logged step.");
    this.smooth(0);
    this.toolbar = h("div", { class: "chart-tools" }, this.axisChoice.group, h("span", { class: "smooth" }, h("span", {}, "Smoothing"), this.slider), this.logButton, this.seedChoice.field, h("span", { class: "zoomed" }, this.range, this.whole));
    return this.toolbar;
  }

  watch() {
    new ResizeObserver(() => this.drawSoon()).observe(this.grid);
    new MutationObserver(() => this.drawSoon()).observe(document.body, { attributeFilter: ["class"] });
    const seen = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const chart = this.charts.find(({ element }) => element === target);
        chart.inSight = isIntersecting;
        if (isIntersecting && chart.stale) this.drawOne(chart);
      }
    }, { rootMargin: "200px" });
    for (const { element } of this.charts) seen.observe(element);
  }

  // --- what is looked at, and how

  /** For a link; empty where it is as usual. */
  view() {
    const { zoom } = this;
    return {
      x: this.axis === "step" ? "" : this.axis,
      smooth: this.smoothing || "",
      log: this.log ? "1" : "",
      seeds: this.seeds === EACH ? "" : this.seeds,
      zoom: zoom ? [zoom.from, zoom.to].map((value) => +value.toPrecision(7)).join("..") : "",
      large: this.large?.name ?? "",
    };
  }

  /** Look at them as a link says; returns the names that make no sense. */
  restore({ x = "step", smooth = "0", log = "", seeds = EACH, zoom = "", large = "" }) {
    const odd = [];
    const take = (name, fine, act) => (fine ? act() : odd.push(name));
    const weight = Number(smooth);
    const [from, to, ...more] = zoom.split("..").map(Number);
    const chart = this.charts.find(({ name }) => name === large) ?? null;
    take("x", AXES.some(([axis]) => axis === x), () => this.setAxis(x));
    take("smooth", weight >= 0 && weight <= LARGEST_SMOOTHING, () => this.smooth(weight));
    take("log", ["", "1"].includes(log), () => this.setLog(log === "1"));
    take("seeds", SEEDS.some(([name]) => name === seeds), () => this.setSeeds(seeds));
    take("zoom", !zoom || (Number.isFinite(from) && Number.isFinite(to) && from < to && !more.length), () => (this.zoom = zoom ? { from, to } : null));
    take("large", !large || chart, () => (this.large = chart));
    this.zoomed();
    return odd;
  }

  smooth(weight) {
    this.smoothing = weight;
    this.slider.value = String(weight);
    this.slider.style.setProperty("--share", `${(100 * weight) / LARGEST_SMOOTHING}%`);
  }

  setLog(log) {
    this.log = log;
    this.logButton.setAttribute("aria-pressed", String(log));
  }

  setAxis(axis) {
    if (axis !== this.axis) this.zoom = this.at = null; // of the other axis
    this.axis = axis;
    this.axisChoice.set(axis);
    this.zoomed();
  }

  setSeeds(seeds) {
    this.seeds = seeds;
    this.seedChoice.input.value = seeds;
  }

  /** Look at a part of the axis, {from, to}; null: at everything. */
  zoomTo(zoom) {
    this.zoom = zoom && zoom.to > zoom.from ? zoom : null;
    this.zoomed();
    this.hooks.looked();
  }

  zoomed() {
    this.finer.clear();
    clearTimeout(this.refining);
    if (this.zoom) this.refining = setTimeout(() => this.refine(), FINER_MS);
    this.whole.hidden = !this.zoom;
    this.range.textContent = this.zoom ? `${placeWords(this.axis, this.zoom.from)} to ${placeWords(this.axis, this.zoom.to).replace(/^(step|epoch) /, "")}` : "";
    this.draw();
  }

  /** Of what is zoomed into, ask for the points that were left out. */
  async refine() {
    const { zoom, axis } = this;
    const thin = this.runs.filter(({ series }) => Object.values(series).some((named) => Object.values(named).some(({ m }) => m)));
    for (const { name, series, file } of thin) {
      const steps = stepsOf(series, axis, zoom.from, zoom.to);
      const found = steps && await this.hooks.finer(name, ...steps);
      if (this.zoom !== zoom) return;
      if (found && found.file === file) this.finer.set(name, found);
      this.drawSoon();
    }
  }

  enlarge(chart) {
    const before = this.large;
    this.large = chart;
    this.draw();
    (chart ?? before)?.canvas.focus({ preventScroll: true });
    (chart ?? before)?.element.scrollIntoView({ block: "nearest" });
    this.hooks.looked();
  }

  escape(event) {
    if (this.large) this.enlarge(null);
    else if (this.zoom) this.zoomTo(null);
    else return;
    event.stopPropagation();
  }

  /** Put the cursor of all charts somewhere on the axis; null takes it away. */
  point(at, chart) {
    this.at = at;
    this.pointed = chart;
    this.cursor ??= requestAnimationFrame(() => {
      this.cursor = null;
      for (const one of this.charts) if (one.inSight && !one.element.hidden) one.showCursor();
    });
  }

  /** Let a run's curves stand out; null: all alike. */
  single(name) {
    if (name === this.singled) return;
    this.singled = name;
    this.drawSoon();
  }

  // --- drawing

  /** Draw these runs, or what is new of those that are drawn already. */
  setRuns(runs) {
    const looks = JSON.stringify(runs.map(({ series, ...look }) => look));
    const same = looks === this.looks;
    this.looks = looks;
    this.runs = runs;
    for (const { name, file } of runs) if (this.finer.has(name) && this.finer.get(name).file !== file) this.finer.delete(name);
    this.groups = groups(runs);
    this.seedChoice.field.hidden = this.groups.length === 0;
    this.draw(same);
  }

  /** Runs that stand for themselves, and groups that are drawn as one. */
  get shown() {
    if (this.seeds === EACH) return this.runs.map((run) => ({ ...run, members: [run] }));
    const grouped = new Set(this.groups.flatMap(({ members }) => members));
    return [...this.groups, ...this.runs.filter((run) => !grouped.has(run)).map((run) => ({ ...run, members: [run] }))];
  }

  showKey() {
    const { shown } = this;
    const how = SEEDS.find(([name]) => name === this.seeds)[1].toLowerCase();
    const text = JSON.stringify([how, shown.map(({ name, colour, dash, members }) => [name, colour, dash, members.length])]);
    this.key.hidden = shown.length < 2 && shown.every(({ members }) => members.length < 2);
    if (text === this.keyText) return; // nothing loses the mouse while numbers come
    this.keyText = text;
    this.singled = null;
    this.key.replaceChildren(...shown.map((run) => {
      const words = run.members.length > 1 ? `${run.name} (${how})` : run.name;
      return h("span", { onpointerenter: () => this.single(run.name), onpointerleave: () => this.single(null), title: run.members.length > 1 ? run.members.map(({ name }) => name).join(", ") : undefined }, swatch(run), words);
    }));
  }

  drawSoon() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = null;
      this.draw();
    });
  }

  /** more: all that has changed are points that have come. */
  draw(more = false) {
    let any = false;
    this.unplaced = new Set();
    this.showKey();
    const has = ({ kind, name }) => this.runs.some((run) => run.series[kind]?.[name]?.x.length);
    const large = this.large && has(this.large) ? this.large : null;
    this.grid.classList.toggle("one", Boolean(large));
    for (const chart of this.charts) {
      const there = has(chart);
      chart.element.hidden = !there || (large !== null && chart !== large);
      if (!more) chart.setLarge(chart === large);
      any ||= there;
      chart.grows = more && !chart.stale;
      chart.stale = true;
    }
    for (const chart of this.charts) if (!chart.element.hidden && chart.inSight) this.drawOne(chart);
    this.none.hidden = any;
    this.toolbar.hidden = !any;
    this.missing.hidden = !this.unplaced.size;
    this.missing.textContent = `Left out, because their logs have no ${this.axis === "time" ? "times" : "epochs"}: ${[...this.unplaced].join(", ")}.`;
  }

  drawOne(chart) {
    chart.stale = false;
    if (chart.grows) chart.grow();
    else chart.draw();
  }

  /** What is drawn of a chart: a curve for each run or group, smoothed, no finer than the screen. */
  curvesOf(chart, width) {
    return this.shown.flatMap((run) => {
      const members = run.members.map((member) => this.curveOf(chart, member, width)).filter(Boolean);
      if (!members.length) return [];
      if (run.members.length === 1) return [{ ...members[0], run: run.name, colour: run.colour, dash: run.dash }];
      const mean = members.length > 1 ? this.bandOf(members) : null;
      return mean ? [{ ...mean, run: run.name, colour: run.colour, dash: run.dash }] : [];
    });
  }

  bandOf(members) {
    const found = band(members.map(({ x, y, m }) => ({ x, y: this.smoothing ? y : m })), this.seeds === "extremes");
    if (!found) return null;
    const { x, y, low, high } = found;
    return { x, y, line: { x, y }, band: found, low: Math.min(...y), edge: Math.min(...low), high: Math.max(...high) };
  }

  /** One run's: {x, y, m} in sight, and what is drawn of it; null where there is none. */
  curveOf({ kind, name }, { name: run, series }, width) {
    const found = series[kind]?.[name];
    if (!found?.x.length) return null;
    const { zoom, axis, smoothing } = this;
    const finer = this.finer.get(run)?.series[kind]?.[name];
    // Most runs have nothing new most of the time.
    const key = [found.x.length, found.x.at(-1), smoothing, width, axis, zoom?.from, zoom?.to, finer?.x.length].join(" ");
    const kept = this.prepared.get(found);
    if (kept?.key === key) return this.placed(run, kept.curve);
    const curve = prepared(refined(found, finer), series, { zoom, axis, smoothing, width });
    this.prepared.set(found, { key, curve });
    return this.placed(run, curve);
  }

  /** Remember which runs cannot be put on the axis. */
  placed(run, curve) {
    if (curve === undefined) this.unplaced.add(run);
    return curve || null;
  }
}
