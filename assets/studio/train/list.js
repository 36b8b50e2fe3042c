// The list of runs: filter, sort, which are drawn, which one is looked at.
import { card, h, select } from "../shared/dom.js";
import { SAMPLE } from "../shared/sample.js";
import { RunColours } from "./runcolours.js";

const STATES = [["", "All states"], ["active", "Running and waiting"], ["finished", "Finished"], ["stopped", "Stopped"], ["failed", "Failed"]];
const ORDERS = [["newest", "Newest first"], ["oldest", "Oldest first"], ["name", "By name"], ["progress", "By progress"]];
const SORTS = {
  newest: (a, b) => b.asked - a.asked,
  oldest: (a, b) => a.asked - b.asked,
  name: (a, b) => a.name.localeCompare(b.name, "en", { numeric: true }),
  progress: (a, b) => share(b) - share(a),
};

export const share = ({ step, steps, state }) => (state === "finished" ? 1 : steps ? step / steps : 0);

/** 95 → "1 min 35 s". */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return minutes < 10 && whole % 60 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days ${hours % 24} h`;
}

export class RunList {
  /** hooks: {open(name), drawn(names), compare(names), looked(), sample}. */
  constructor(hooks) {
    this.hooks = hooks;
    this.sample = null; // the sample run, if the server has one
    this.runs = [];
    this.checked = new Set();
    this.looks = new RunColours();
    this.rows = new Map();
    this.filter = h("input", { type: "search", placeholder: "Filter", "aria-label": "Filter runs by name, recipe, rule, backbone", oninput: () => this.looked() });
    this.state = select("State", STATES, "", () => this.looked()).input;
    this.order = select("Order", ORDERS, "newest", () => this.looked()).input;
    for (const [input, label] of [[this.state, "State"], [this.order, "Order"]]) input.setAttribute("aria-label", label);
    this.compareButton = h("button", { type: "button", disabled: true, title: "Tick two runs or more", onclick: () => hooks.compare([...this.checked]) }, "Compare");
    this.list = h("ul", { class: "runs", "aria-label": "Runs" });
    this.none = h("p", { class: "empty" }, "No runs yet. Start one: the sample photos take a few minutes and need nothing else.");
    const { card: element, body } = card("Runs", { class: "card" }, this.compareButton);
    body.append(h("div", { class: "filters" }, this.filter, this.state, this.order), this.none, this.list, hooks.sample.back);
    this.element = element;
  }

  looked() {
    this.show();
    this.hooks.looked();
  }

  /** What is looked at in the list, for a link; empty where it is as usual. */
  view() {
    const drawn = [...this.checked].filter((name) => name !== this.current);
    return { filter: this.filter.value, state: this.state.value, order: this.order.value === "newest" ? "" : this.order.value, drawn: drawn.join(",") };
  }

  /** Look at the list as a link says; returns the names that make no sense. */
  restore({ filter = "", state = "", order = "newest", drawn = "" }) {
    const odd = [];
    const choose = (name, input, value, usual) => {
      input.value = value;
      if (input.value === value) return;
      input.value = usual;
      odd.push(name);
    };
    this.filter.value = filter;
    choose("state", this.state, state, "");
    choose("order", this.order, order, "newest");
    this.checked = new Set(drawn.split(",").filter(Boolean));
    this.show();
    return odd;
  }

  /** The sample run, where it is shown. */
  get samples() {
    return this.sample && !this.hooks.sample.hidden ? [this.sample] : [];
  }

  setRuns(runs) {
    this.runs = runs;
    const names = new Set([...runs, ...this.samples].map((run) => run.name));
    for (const name of this.checked) if (!names.has(name)) this.checked.delete(name);
    for (const name of this.rows.keys()) if (!names.has(name)) this.rows.delete(name);
    this.show();
  }

  setCurrent(name) {
    this.current = name;
    this.show();
  }

  /** The runs whose curves are drawn, with their colours: the current one and those that are ticked. */
  drawn() {
    const all = [...this.runs.toSorted(SORTS.oldest), ...this.samples];
    const wanted = all.filter(({ name }) => name === this.current || this.checked.has(name));
    const looks = this.looks.of(wanted.map(({ name }) => name), all.map(({ name }) => name));
    return wanted.map(({ name, fold, recipe }) => ({ name, fold, recipe, ...looks.get(name) }));
  }

  fits({ name, recipe, rule, backbone, state }) {
    const words = this.filter.value.trim().toLowerCase();
    const wanted = this.state.value;
    const active = ["running", "stopping", "queued"].includes(state);
    if (wanted && (wanted === "active" ? !active : state !== wanted)) return false;
    return [name, recipe, rule, backbone].join(" ").toLowerCase().includes(words);
  }

  show() {
    const shown = [...this.runs.filter((run) => this.fits(run)).toSorted(SORTS[this.order.value]), ...this.samples];
    this.colours = new Map(this.drawn().map(({ name, colour }) => [name, colour]));
    this.none.hidden = this.runs.length > 0;
    const rows = shown.map((run) => this.row(run));
    // Rows are kept, so that nothing loses the focus while numbers change.
    if (rows.length !== this.list.children.length || rows.some((row, i) => row !== this.list.children[i])) this.list.replaceChildren(...rows);
    this.compareButton.disabled = this.checked.size < 2;
    this.compareButton.textContent = this.checked.size > 1 ? `Compare ${this.checked.size}` : "Compare";
  }

  row(run) {
    let row = this.rows.get(run.name);
    if (!row) {
      row = this.newRow(run.name);
      this.rows.set(run.name, row);
    }
    const { tick, name, what, badge, when, bar } = row.parts;
    row.dataset.state = run.state;
    row.classList.toggle("current", run.name === this.current);
    name.setAttribute("aria-current", String(run.name === this.current));
    tick.checked = this.checked.has(run.name);
    tick.style.setProperty("--run", this.colours.get(run.name) ?? "");
    what.textContent = [run.recipe, run.rule, run.backbone].filter(Boolean).join(" · ");
    badge.className = `badge ${run.state}`;
    badge.textContent = run.state === "queued" && run.position ? `queued, ${run.position}.` : run.state;
    when.textContent = run.time_left !== null ? `${duration(run.time_left)} left` : new Date(1000 * run.asked).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
    bar.hidden = !["running", "stopping"].includes(run.state);
    bar.value = share(run);
    return row;
  }

  newRow(run) {
    const tick = h("input", { type: "checkbox", "aria-label": `Draw and compare ${run}`, onchange: () => {
      if (tick.checked) this.checked.add(run);
      else this.checked.delete(run);
      this.looked();
      this.hooks.drawn();
    } });
    const what = h("span", { class: "what" });
    const name = h("button", { type: "button", class: "open", onclick: () => this.hooks.open(run) }, h("span", { class: "name" }, run), what);
    const badge = h("span", {});
    const when = h("span", {});
    const bar = h("progress", { max: 1, "aria-label": `Progress of ${run}` });
    const sample = run === SAMPLE;
    if (sample) name.firstChild.replaceChildren("Sample run ", h("span", { class: "badge sample" }, "Sample"));
    tick.disabled = sample; // its curves are drawn when it is looked at
    const row = h("li", { class: sample ? "sample" : "", dataset: { run } }, tick, name, h("div", { class: "end" }, badge, when), bar);
    row.parts = { tick, name, what, badge, when, bar };
    return row;
  }
}
