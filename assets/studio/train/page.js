// The Train page: the form, the list of runs and the run that is looked at, kept up to date.
import { join, leftOut, moved, refined } from "../shared/address.js";
import { call } from "../shared/client.js";
import { h } from "../shared/dom.js";
import { noteBox, say } from "../shared/messages.js";
import { explore, openExplore } from "../shared/open-explore.js";
import { SAMPLE, Sample } from "../shared/sample.js";
import { visit } from "../shared/tabs.js";
import { Charts } from "./charts.js";
import { extended } from "./curves.js";
import { OrderForm } from "./form.js";
import { RunList } from "./list.js";
import { Pace } from "./pace.js";
import { RunView } from "./run.js";
import { arriveAt } from "./startbar.js";
import { ACTIVE } from "./words.js";

const POLL_MS = 1000;
const IDLE_MS = 3000; // nothing runs
const HIDDEN_MS = 500; // how soon a page that is looked at again notices
const MOST_POINTS = 6000; // of a curve that a page keeps
const NEXT = "Training pulls every anchor and its positives together and pushes its negatives away. This run did so on the six sample photos. Press Start to repeat it, which takes a minute or two; to train on your own images, choose the recipe “own” and their folder first.";
const LOOK = "Training pulls every anchor and its positives together and pushes its negatives away. This run did so on the six sample photos. To allow new runs here, whoever runs this studio must start it with --runs FOLDER.";
const VIEW = ["run", "filter", "state", "order", "drawn", "at", "x", "smooth", "log", "seeds", "zoom", "large", "columns", "scores", "fold", "unfolded", "layer", "overlay", "without", "class"];

/** gradio calls this once when the component is on the page. */
export async function mount(element, server) {
  const root = element.querySelector(".ppap");
  if (root.train) return;
  try {
    const lists = await call(server, "lists", null);
    root.train = new Train(root, server, lists);
    root.train.start();
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
    this.charts = new Charts({ looked: () => refined("train"), finer: (name, from, to) => this.finer(name, from, to) });
    this.pace = new Pace();
    this.form = new OrderForm(server, lists, { started: (run) => this.started(run), explore: () => explore()?.state.settings ?? null, typed: () => refined("train") });
    this.sample = new Sample("train", lists.closed ? LOOK : NEXT, () => this.sampleChanged());
    this.list = new RunList(server, lists, { open: (name) => this.open(name, true), drawn: () => this.pollNow(), compare: (names) => this.compare(names), looked: () => refined("train"), sample: this.sample });
    this.view = new RunView(server, this.charts, {
      changed: () => this.pollNow(),
      tag: (tag) => this.list.searchTag(tag),
      renamed: (run) => this.open(run.name),
      deleted: () => this.open(null),
      looked: () => refined("train"),
      clone: (details) => this.form.fill(details),
      explore: (config) => this.useInExplore(config),
      report: async (name) => (await visit("Evaluate"))?.takeReport(name) ?? "Evaluate is not ready yet.",
      use: async (tab, name) => (await visit(tab))?.takeRun(name) ?? `${tab} is not ready yet.`,
    }, lists);
    this.notice = noteBox();
    this.note = h("div", { hidden: true }, this.sample.note);
    // Where the page is narrow, the form lies below all of this.
    this.toForm = h("button", { type: "button", class: "to-form", onclick: () => this.form.arrive() }, "New run ↓");
    this.problem = h("p", { class: "messages error", role: "alert", hidden: true });
    root.replaceChildren(
      h("div", { class: "column" }, this.form.element),
      h("div", { class: "column watching" }, this.toForm, this.problem, this.notice, this.list.element, this.note, this.view.element),
    );
    root.append(this.view.sheet);
  }

  /** Show what the address says, or else the newest run. */
  start() {
    const { view, form, said } = join("train", {
      names: VIEW,
      state: () => ({ view: { run: this.sample.inLink(this.list.current ?? this.wanted?.run, this.asked), ...this.list.view(), ...this.charts.view(), ...this.view.predictions.view() }, form: this.form.texts() }),
      restore: (wanted, sentences) => this.restore(wanted, sentences),
      title: () => (this.list.current === SAMPLE ? "Sample" : this.list.current ?? ""),
    });
    const odd = Object.keys(form).length ? this.form.restore(form) : [];
    this.restore(view, [...said, ...leftOut(odd)]);
  }

  /** As a link says; the run is opened as soon as the list of runs is there. */
  restore(view, said) {
    const odd = [...this.list.restore(view), ...this.charts.restore(view), ...this.view.predictions.restore(view)];
    say(this.notice, [...said, ...leftOut(odd)]);
    this.wanted = view;
    if (this.version !== null) this.openWanted();
  }

  openWanted() {
    const { run } = this.wanted;
    this.asked = Boolean(run);
    this.wanted = null;
    const known = this.find(run);
    if (known && run !== this.list.current) this.open(run);
    else if (!known) {
      if (run) say(this.notice, [`The run ${run} no longer exists. Choose another from the list.`]);
      this.open(this.first());
    }
  }

  /** A run by its name. */
  find(name) {
    return [...this.runs, ...this.list.samples].find((one) => one.name === name);
  }

  /** What is open where nothing else was asked for. */
  first() {
    return this.runs[0]?.name ?? this.list.samples[0]?.name ?? null;
  }

  /** The sample was hidden, or is wanted again. */
  sampleChanged() {
    this.list.setRuns(this.runs);
    if (!this.sample.hidden) this.open(SAMPLE, true);
    else if (this.list.current === SAMPLE) this.open(this.first(), true);
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
      const reply = await call(this.server, "watch", { known: this.version, partly: true, watch });
      this.problem.hidden = true;
      this.version = reply.version;
      this.list.sample = reply.sample ?? null;
      this.sample.back.hidden = !(reply.sample && this.sample.hidden);
      this.list.setQueue(reply.queue);
      if (!reply.whole) this.again = true; // scores of other runs follow
      if (reply.runs) this.setRuns(reply.runs);
      else if (reply.names) this.setRuns(this.merged(reply));
      for (const [name, changes] of Object.entries(reply.changes)) this.take(name, changes);
      this.showCurves();
      this.showPredictions();
    } catch (error) {
      this.problem.hidden = false;
      this.problem.textContent = error.message;
    }
  }

  /** All runs: those that have changed anew, the others as they were. */
  merged({ names, changed }) {
    const known = new Map([...this.runs, ...changed].map((run) => [run.name, run]));
    return names.map((name) => known.get(name)).filter(Boolean);
  }

  setRuns(runs) {
    this.runs = runs;
    this.list.setRuns(runs);
    this.form.setTaken(runs.map(({ name }) => name));
    this.form.follow(runs);
    const names = new Set([...runs, ...this.list.samples].map(({ name }) => name));
    for (const name of this.followed.keys()) if (!names.has(name)) this.followed.delete(name);
    const first = !this.had && runs.length > 0;
    this.had = runs.length > 0;
    if (this.wanted) return this.openWanted();
    const current = this.find(this.list.current);
    // The first run of one's own takes the sample's place.
    if (this.list.current === SAMPLE && first) this.open(runs[0].name);
    else if (current) this.view.show(current);
    else if (this.list.current || this.first()) this.open(this.first());
  }

  take(name, changes) {
    let known = this.followed.get(name);
    if (!known || changes.reset) known = { series: {} };
    known.cursor = changes.cursor;
    // Stays until it is drawn, which may be some looks later.
    known.dirty ||= Object.keys(changes.series).length > 0 || changes.reset;
    for (const [kind, series] of Object.entries(changes.series)) {
      known.series[kind] ??= Object.create(null); // whatever a series is called
      for (const [metric, curve] of Object.entries(series)) {
        known.series[kind][metric] = extended(known.series[kind][metric] ?? { x: [], y: [] }, curve, MOST_POINTS);
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
    const wait = same ? this.pace.wait() : 0;
    if (wait > 0) return this.drawLater(wait);
    this.lastDrawn = JSON.stringify(drawn);
    for (const { name } of drawn) this.followed.get(name).dirty = false;
    const followed = drawn.map((run) => ({ ...run, series: this.followed.get(run.name).series, file: this.followed.get(run.name).cursor?.file }));
    this.pace.draw(drawn.length, () => this.charts.setRuns(followed));
  }

  /** The run that is open first, those that are ticked beside it. */
  showPredictions() {
    const current = this.view.run?.name;
    if (!current) return;
    const drawn = this.list.drawn().sort((a, b) => (b.name === current) - (a.name === current));
    const known = drawn.map(({ name }) => this.find(name)).filter(Boolean);
    const marks = [known.map(({ step, state }) => [step, state]), this.view.pictured];
    this.view.predictions.refresh(drawn, marks, known.some(({ state }) => ACTIVE.includes(state)));
  }

  /** Show in a while what has come; the next look may be further off. */
  drawLater(wait) {
    clearTimeout(this.later);
    this.later = setTimeout(() => this.visible && this.showCurves(), wait);
  }

  /** The points of a run's curves between two steps; null where the studio does not answer. */
  async finer(name, from, to) {
    try {
      return await call(this.server, "finer", { name, from, to });
    } catch {
      return null; // the curves stay as they are
    }
  }

  /** byHand: somebody asked for it, so that Back returns to what was open before. */
  open(name, byHand = false) {
    const run = this.find(name);
    if (byHand) {
      this.asked = true;
      say(this.notice, []);
      this.view.predictions.follow();
    }
    // The log begins anew with the run.
    const known = this.followed.get(name);
    if (known?.cursor && this.view.run?.name !== name) known.cursor = { ...known.cursor, log: -1 };
    this.list.setCurrent(name);
    if (run) this.view.open(run);
    else if (!name) this.view.close();
    this.note.hidden = name !== SAMPLE;
    if (byHand) moved("train");
    else refined("train");
    this.pollNow();
  }

  started(run) {
    this.list.current = run.name;
    this.runs = [run, ...this.runs.filter(({ name }) => name !== run.name)];
    this.list.setRuns(this.runs);
    this.version = null;
    this.wanted = null;
    this.open(run.name, true);
    arriveAt(this.view.element, this.view.title);
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
    if (!explore()) return "Explore is still loading. Open it once, then try again.";
    const settings = Object.fromEntries(this.lists.propagation.map((name) => [name, Number(config[name] ?? usual[name])]));
    if (Object.values(settings).some((value) => !Number.isFinite(value))) return "This run's settings are not known.";
    openExplore(settings);
    return "Explore now uses this run's settings.";
  }
}
