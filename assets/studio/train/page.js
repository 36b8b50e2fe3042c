// The Train page: the form, the list of runs and the run that is looked at, kept up to date.
import { call } from "../shared/client.js";
import { h } from "../shared/dom.js";
import { explore, openExplore } from "../shared/open-explore.js";
import { visit } from "../shared/tabs.js";
import { Charts, thinned } from "./charts.js";
import { OrderForm } from "./form.js";
import { RunList } from "./list.js";
import { RunView } from "./run.js";

const POLL_MS = 1000;
const IDLE_MS = 3000; // nothing runs
const HIDDEN_MS = 500; // how soon a page that is looked at again notices
const REDRAW_MS = 190; // at least so long between drawings, for each run that is drawn
const MOST_POINTS = 6000; // of a curve that a page keeps

/** gradio calls this once when the component is on the page. */
export async function mount(element, server) {
  const root = element.querySelector(".ppap");
  if (root.train) return;
  try {
    const lists = await call(server, "lists", null);
    root.train = new Train(root, server, lists);
    root.train.poll();
  } catch (error) {
    root.replaceChildren(h("p", { class: "messages error" }, error.message));
    throw error;
  }
}

class Train {
  constructor(root, server, lists) {
    this.root = root;
    this.server = server;
    this.lists = lists;
    this.runs = [];
    this.version = null;
    this.followed = new Map(); // by name: {cursor, series}
    this.charts = new Charts();
    this.form = new OrderForm(server, lists, { started: (run) => this.started(run), explore: () => explore()?.state.settings ?? null });
    this.list = new RunList({ open: (name) => this.open(name), drawn: () => this.pollNow(), compare: (names) => this.compare(names) });
    this.view = new RunView(server, this.charts, {
      changed: () => this.pollNow(),
      renamed: (run) => this.open(run.name),
      deleted: () => this.open(null),
      clone: (details) => this.form.fill(details),
      explore: (config) => this.useInExplore(config),
      use: async (tab, name) => (await visit(tab))?.takeRun(name) ?? `${tab} is not ready yet.`,
    });
    this.problem = h("p", { class: "messages error", role: "alert", hidden: true });
    root.replaceChildren(
      h("div", { class: "column" }, this.form.element),
      h("div", { class: "column watching" }, this.problem, this.list.element, this.view.element),
    );
    root.append(this.view.sheet);
  }

  /** Whether anybody looks. */
  get visible() {
    return !document.hidden && this.root.checkVisibility();
  }

  /** Ask what is new, again and again, but only while somebody looks. */
  async poll() {
    for (;;) {
      if (!this.root.isConnected) return;
      if (this.visible) await this.look();
      const active = this.runs.some(({ state }) => ["running", "stopping", "queued"].includes(state));
      const wait = !this.visible ? HIDDEN_MS : active ? POLL_MS : IDLE_MS;
      await new Promise((resolve) => {
        this.wake = resolve;
        setTimeout(resolve, this.again ? 0 : wait);
      });
      this.again = false;
    }
  }

  pollNow() {
    this.again = true;
    this.wake?.();
  }

  async look() {
    const drawn = this.list.drawn();
    const watch = drawn.map(({ name }) => ({ name, cursor: this.followed.get(name)?.cursor ?? null, log: name === this.view.run?.name }));
    try {
      const reply = await call(this.server, "watch", { known: this.version, watch });
      this.problem.hidden = true;
      this.version = reply.version;
      if (reply.runs) this.setRuns(reply.runs);
      for (const [name, changes] of Object.entries(reply.changes)) this.take(name, changes);
      this.showCurves();
    } catch (error) {
      this.problem.hidden = false;
      this.problem.textContent = error.message;
    }
  }

  setRuns(runs) {
    this.runs = runs;
    this.list.setRuns(runs);
    this.form.setTaken(runs.map(({ name }) => name));
    const names = new Set(runs.map(({ name }) => name));
    for (const name of this.followed.keys()) if (!names.has(name)) this.followed.delete(name);
    const current = runs.find(({ name }) => name === this.list.current);
    if (current) this.view.show(current);
    else if (this.list.current) this.open(null);
    if (!this.list.current && runs.length) this.open(runs[0].name);
  }

  take(name, changes) {
    let known = this.followed.get(name);
    if (!known || changes.reset) known = { series: {} };
    known.cursor = changes.cursor;
    // Stays until it is drawn, which may be some looks later.
    known.dirty ||= Object.keys(changes.series).length > 0 || changes.reset;
    for (const [kind, series] of Object.entries(changes.series)) {
      known.series[kind] ??= {};
      for (const [metric, { x, y }] of Object.entries(series)) {
        const all = (known.series[kind][metric] ??= { x: [], y: [] });
        all.x.push(...x);
        all.y.push(...y);
        if (all.x.length > MOST_POINTS) known.series[kind][metric] = thinned(all.x, all.y, MOST_POINTS / 4);
      }
    }
    this.followed.set(name, known);
    if (name === this.view.run?.name) this.view.take(changes);
    if (changes.more) this.again = true;
  }

  showCurves() {
    const drawn = this.list.drawn().filter(({ name }) => this.followed.has(name));
    const same = JSON.stringify(drawn) === this.lastDrawn;
    const dirty = drawn.some(({ name }) => this.followed.get(name).dirty);
    if (same && !dirty) return;
    // Many curves take a while to draw, and the eye does not need each point as it comes.
    if (same && performance.now() - this.drawnAt < REDRAW_MS * drawn.length) return;
    this.drawnAt = performance.now();
    this.lastDrawn = JSON.stringify(drawn);
    for (const { name } of drawn) this.followed.get(name).dirty = false;
    this.charts.setRuns(drawn.map(({ name, colour }) => ({ name, colour, series: this.followed.get(name).series })));
  }

  open(name) {
    const run = this.runs.find((one) => one.name === name);
    // The log begins anew with the run.
    const known = this.followed.get(name);
    if (known?.cursor && this.view.run?.name !== name) known.cursor = { ...known.cursor, log: -1 };
    this.list.setCurrent(name);
    if (run) this.view.open(run);
    else if (!name) this.view.close();
    this.pollNow();
  }

  started(run) {
    this.list.current = run.name;
    this.runs = [run, ...this.runs.filter(({ name }) => name !== run.name)];
    this.list.setRuns(this.runs);
    this.version = null;
    this.open(run.name);
  }

  async compare(names) {
    try {
      this.view.showComparison(await call(this.server, "compare", names));
    } catch (error) {
      this.problem.hidden = false;
      this.problem.textContent = error.message;
    }
  }

  /** Take a run's Φ⁰, Ψ⁰, σ and T into Explore; returns what to say. */
  useInExplore(config) {
    const usual = this.lists.recipes.find(({ name }) => name === config.recipe)?.settings ?? {};
    if (!explore()) return "Explore is not ready yet: open it first.";
    const settings = Object.fromEntries(this.lists.propagation.map((name) => [name, Number(config[name] ?? usual[name])]));
    if (Object.values(settings).some((value) => !Number.isFinite(value))) return "This run does not say its settings.";
    openExplore(settings);
    return "Explore has the settings of this run now.";
  }
}
