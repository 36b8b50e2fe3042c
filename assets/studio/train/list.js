// The list of runs: filter, sort, columns, seeds folded, which are drawn, which one is looked at.
import { card, h, select } from "../shared/dom.js";
import { SAMPLE } from "../shared/sample.js";
import { COLUMNS, Columns, comparing } from "./columns.js";
import { groups } from "./fold.js";
import { Rows } from "./rows.js";
import { RunColours } from "./runcolours.js";
import { WAYS, isValidation, scoreOf } from "./score.js";
import { Queue } from "./queue.js";
import { ACTIVE } from "./words.js";

const STATES = [["", "All states"], ["active", "Running and waiting"], ["finished", "Finished"], ["stopped", "Stopped"], ["failed", "Failed"]];
const NEWEST = "newest";
const FORMER = { oldest: "-newest" };
const oldest = (a, b) => a.asked - b.asked;

export class RunList {
  /** hooks: {open(name), drawn(names), compare(names), looked(), sample}. */
  constructor(server, lists, hooks) {
    this.hooks = hooks;
    this.sample = null; // the sample run, if the server has one
    this.runs = [];
    this.checked = new Set();
    this.unfolded = new Set();
    this.folds = true;
    this.looks = new RunColours();
    this.order = NEWEST; // a column's key; with - before it, the other way round
    this.queue = new Queue(server, Boolean(lists.closed), (queue) => {
      this.setQueue(queue);
      hooks.drawn();
    });
    this.columns = new Columns(() => this.looked());
    this.rows = new Rows({ open: hooks.open, tick: (names, on) => this.tick(names, on), unfold: (key) => this.unfold(key), tag: (tag) => this.searchTag(tag), queue: this.queue });
    this.filter = h("input", { type: "search", placeholder: "Filter: words, tag:baseline", "aria-label": "Filter runs by name, recipe, rule, backbone, tags, note", oninput: () => this.looked() });
    this.state = select("State", STATES, "", () => this.looked()).input;
    this.state.setAttribute("aria-label", "State");
    this.sorts = h("select", { "aria-label": "Order", onchange: () => this.sortBy(this.sorts.value) });
    this.fold = h("button", { type: "button", class: "toggle", "aria-pressed": "true", title: "Show runs that differ only in their seed as one", onclick: () => {
      this.folds = !this.folds;
      this.looked();
    } }, "Fold seeds");
    this.compareButton = h("button", { type: "button", disabled: true, title: "Tick two runs or more", onclick: () => hooks.compare([...this.checked]) }, "Compare");
    this.heads = h("tr", { role: "row" });
    this.body = h("tbody", { role: "rowgroup" });
    this.table = h("table", { class: "runs", role: "table", "aria-label": "Runs" }, h("thead", { role: "rowgroup" }, this.heads), this.body);
    this.none = h("p", { class: "empty" }, "No runs yet. Start one: the sample photos take a minute or two and need nothing else.");
    this.nothing = h("p", { class: "empty", role: "status" });
    this.legend = h("p", { class: "help" });
    const { card: element, body } = card("Runs", { class: "card" }, this.queue.pause, this.columns.menu, this.compareButton);
    body.append(this.queue.element, h("div", { class: "filters" }, this.filter, this.state, this.sorts, this.fold), this.none, this.nothing, h("div", { class: "runs-box scroll" }, this.table), this.legend, hooks.sample.back);
    this.element = element;
  }

  looked() {
    this.show();
    this.hooks.looked();
  }

  /** What is looked at in the list, for a link; empty where it is as usual. */
  view() {
    const drawn = [...this.checked].filter((name) => name !== this.current);
    const order = this.order === NEWEST ? "" : this.order;
    const known = new Set(this.groups?.map(({ key }) => key));
    const unfolded = [...this.unfolded].filter((key) => known.has(key));
    return { filter: this.filter.value, state: this.state.value, order, drawn: drawn.join(","), ...this.columns.view(), fold: this.folds ? "" : "no", unfolded: unfolded.join(",") };
  }

  /** Look at the list as a link says; returns the names that make no sense. */
  restore({ filter = "", state = "", order = NEWEST, drawn = "", fold = "", unfolded = "", ...more }) {
    const odd = this.columns.restore(more);
    this.filter.value = filter;
    this.state.value = state;
    if (this.state.value !== state) {
      this.state.value = "";
      odd.push("state");
    }
    this.order = Object.hasOwn(FORMER, order) ? FORMER[order] : order;
    if (!this.column) {
      this.order = NEWEST;
      odd.push("order");
    }
    if (!["", "no"].includes(fold)) odd.push("fold");
    this.folds = fold !== "no";
    this.unfolded = new Set(unfolded.split(",").filter(Boolean));
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
    this.rows.keep(names);
    this.columns.offer(runs);
    this.show();
  }

  setQueue(queue) {
    this.paused = queue;
    this.queue.show(queue, this.runs);
  }

  setCurrent(name) {
    this.current = name;
    this.show();
  }

  tick(names, on) {
    for (const name of names) {
      if (on) this.checked.add(name);
      else this.checked.delete(name);
    }
    this.looked();
    this.hooks.drawn();
  }

  unfold(key) {
    if (!this.unfolded.delete(key)) this.unfolded.add(key);
    this.looked();
  }

  /** Look for a tag, or no longer. */
  searchTag(tag) {
    const word = `tag:${tag}`;
    const words = this.filter.value.trim().split(/\s+/).filter(Boolean);
    this.filter.value = (words.includes(word) ? words.filter((one) => one !== word) : [...words, word]).join(" ");
    this.looked();
  }

  get column() {
    const key = this.order.replace(/^-/, "");
    return COLUMNS.find((column) => column.key === key);
  }

  /** By a column; by the same once more: the other way round. */
  sortBy(order) {
    this.order = order;
    this.looked();
  }

  /** The runs whose curves are drawn, with their colours: the current one and those that are ticked. */
  drawn() {
    const all = [...this.runs.toSorted(oldest), ...this.samples];
    const wanted = all.filter(({ name }) => name === this.current || this.checked.has(name));
    const looks = this.looks.of(wanted.map(({ name }) => name), all.map(({ name }) => name));
    return wanted.map(({ name, fold, recipe }) => ({ name, fold, recipe, ...looks.get(name) }));
  }

  fits(run) {
    const { name, recipe, rule, backbone, state, tags = [], note = "" } = run;
    const wanted = this.state.value;
    if (wanted && (wanted === "active" ? !ACTIVE.includes(state) : state !== wanted)) return false;
    const text = [name, recipe, rule, backbone, ...tags, note].join(" ").toLowerCase();
    const words = this.filter.value.trim().toLowerCase().split(/\s+/);
    return words.every((word) => (word.startsWith("tag:") && word.length > 4 ? tags.some((tag) => tag.toLowerCase() === word.slice(4)) : text.includes(word)));
  }

  /** What is listed, in its order: {run}, and {group} with its runs behind it where it is unfolded. */
  items() {
    const { way } = this.columns;
    const turned = this.order.startsWith("-");
    const inOrder = comparing(this.column, way, turned);
    this.groups = groups(this.runs);
    const grouped = new Map(this.folds ? this.groups.flatMap((group) => group.runs.map(({ name }) => [name, group])) : []);
    const items = [];
    const members = new Map();
    for (const run of this.runs.filter((one) => this.fits(one)).toSorted(inOrder)) {
      const group = grouped.get(run.name);
      if (!group) items.push({ run });
      else if (members.has(group)) members.get(group).push(run);
      else items.push({ group, shown: members.set(group, [run]).get(group) });
    }
    const valueOf = ({ run, group, shown }) => (run ? this.column.value(run, way) : this.rows.groupValue(this.column, way, group, shown));
    const sorted = items.toSorted(comparing(this.column, way, turned, valueOf));
    const all = sorted.flatMap((item) => [item, ...(item.group && this.unfolded.has(item.group.key) ? item.shown.map((run) => ({ run, inside: true })) : [])]);
    return [...all, ...this.samples.map((run) => ({ run }))];
  }

  show() {
    const items = this.items();
    const colours = new Map(this.drawn().map(({ name, colour }) => [name, colour]));
    this.none.hidden = this.runs.length > 0;
    const nothing = this.runs.length > 0 && !items.some(({ run }) => run?.name !== SAMPLE) ? "No run matches the filter." : "";
    if (this.nothing.textContent !== nothing) this.nothing.textContent = nothing;
    this.nothing.hidden = !nothing;
    const shown = this.columns.shown;
    this.showHeads(shown);
    this.showLegend(shown, items);
    const look = { shown, columns: `${shown.map(({ key }) => key)} ${this.columns.way}`, way: this.columns.way, current: this.current, checked: this.checked, colours, unfolded: this.unfolded, waiting: this.runs.filter(({ position }) => (position ?? null) !== null).length };
    const rows = items.map((item) => this.rows.row(item, look));
    // Rows are kept, so that nothing loses the focus while numbers change.
    if (rows.length !== this.body.children.length || rows.some((row, i) => row !== this.body.children[i])) this.body.replaceChildren(...rows);
    this.table.parentElement.hidden = rows.length === 0;
    this.queue.show(this.paused, this.runs);
    this.fold.hidden = this.groups.length === 0;
    this.fold.setAttribute("aria-pressed", String(this.folds));
    this.compareButton.disabled = this.checked.size < 2;
    this.compareButton.textContent = this.checked.size > 1 ? `Compare ${this.checked.size}` : "Compare";
  }

  /** What the scores in the list are of. */
  showLegend(shown, items) {
    const { way } = this.columns;
    const runs = shown.some(({ score }) => score) ? items.flatMap(({ run, group }) => (run ? [run] : group.runs)) : [];
    const scored = runs.some((run) => scoreOf(run, way));
    const star = runs.some((run) => isValidation(run, way)) ? " * Last validation; no report yet." : "";
    const text = scored ? `Scores (%): ${way ? WAYS[way] : "each run's own probes, without refinement"}.${star}` : "";
    if (this.legend.textContent !== text) this.legend.textContent = text;
  }

  showHeads(shown) {
    const said = `${shown.map(({ key }) => key)} ${this.order}`;
    if (said === this.saidHeads) return;
    this.saidHeads = said;
    const turned = this.order.startsWith("-");
    const head = ({ key, title, meaning, first }) => {
      const sorted = key === this.column.key;
      const up = (first > 0) !== turned;
      const order = sorted && !turned ? `-${key}` : key;
      const button = h("button", { type: "button", class: "quiet", title: meaning || null, dataset: { sort: key }, onclick: () => this.sortBy(order) }, title, h("span", { class: "arrow", "aria-hidden": "true" }, sorted ? (up ? " ↑" : " ↓") : ""));
      return h("th", { role: "columnheader", scope: "col", class: `of-${key}`, "aria-sort": sorted ? (up ? "ascending" : "descending") : "none" }, button);
    };
    const focused = this.heads.contains(document.activeElement) ? document.activeElement.dataset.sort : null;
    this.heads.replaceChildren(h("th", { role: "columnheader", scope: "col", class: "of-tick" }, h("span", { class: "unseen" }, "Drawn")), ...shown.map(head));
    if (focused) this.heads.querySelector(`[data-sort=${focused}]`)?.focus();
    // The same where there is no room for heads.
    const options = COLUMNS.filter((column) => shown.includes(column) || column === this.column);
    this.sorts.replaceChildren(...options.flatMap(({ key, title, first }) => [[key, first > 0], [`-${key}`, first < 0]].map(([value, up]) => h("option", { value }, `${title} ${up ? "↑" : "↓"}`))));
    this.sorts.value = this.order;
  }
}
