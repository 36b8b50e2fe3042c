// What is evaluated on what, how far that is, and the reports that there are.
import { runOptions, takeCheckpoint } from "../shared/checkpoints.js";
import { call, latestOnly } from "../shared/client.js";
import { h, moment, newId, relist, select } from "../shared/dom.js";
import { FieldErrors } from "../shared/fields.js";
import { JobControls } from "../shared/job.js";
import { Kept } from "../shared/keep.js";
import { say } from "../shared/messages.js";
import { SAMPLE, sampleItem } from "../shared/sample.js";
import { PathField } from "../shared/path-field.js";
import { ForeignFields } from "./foreign.js";
import { MeasureFields } from "./measures.js";

// Choices that are no run: a file, where pages may name some, and nothing at all.
const FILE = "file";
const FOREIGN = "predictions";
const NONE = "none";
const POLL_MS = 700;
const MOST_BESIDE = 3; // reports beside the open one
const CHECK_AFTER_MS = 300;
export const perCent = (value) => (value === null || value === undefined ? "–" : value.toFixed(1));

export class EvaluateForm {
  /** on: {open(key, those beside it, byHand), closed(), typed(), sample}. */
  constructor(server, config, on) {
    this.server = server;
    this.config = config;
    this.on = on;
    this.open = null;
    this.beside = []; // keys of the reports beside it
    const pathId = newId("checkpoint");
    this.path = h("input", { id: pathId, type: "text" });
    this.filePlace = new PathField(server, this.path, { want: "checkpoint" });
    this.file = h("div", { class: "field" }, h("label", { for: pathId }, "Checkpoint file on this server"), this.filePlace.element);
    this.foreign = new ForeignFields(server, () => this.changed());
    this.checkpoint = select("Checkpoint", this.options(), undefined, () => this.chooseCheckpoint());
    const dataId = newId("data");
    this.data = h("input", { id: dataId, type: "text" });
    this.place = new PathField(server, this.data, { about: true, extras: () => ["samples", ...this.config.data] });
    this.split = h("input", { id: `${dataId}-split`, type: "text", autocomplete: "off", spellcheck: "false", placeholder: "the run's, or val" });
    this.size = h("input", { id: `${dataId}-size`, type: "text", autocomplete: "off", inputmode: "numeric", title: "Side of the evaluated squares, in pixels" });
    this.job = new JobControls(server, { begin: "Evaluate", doing: "Evaluating" }, POLL_MS, { request: () => this.request(), ended: (job) => this.ended(job), refused: (error) => this.errors.refuse(error) });
    this.errors = new FieldErrors();
    this.measures = new MeasureFields(this.errors, config.crf);
    // What only a checkpoint can be asked for.
    this.ours = h("div", { class: "ours" }, this.measures.elements);
    this.foreign.path.addEventListener("input", () => this.errors.touch("checkpoint"));
    this.ask = latestOnly(() => this.check());
    this.list = h("ul", { class: "reports" });
    this.empty = h("p", { class: "help" }, "No reports yet. Evaluate a checkpoint; finished runs have a report of their own.");
    const form = h(
      "form",
      {
        class: "card-body",
        novalidate: true,
        onsubmit: (event) => {
          event.preventDefault();
          this.errors.sent = true;
          this.job.start();
        },
        oninput: () => this.changed(),
      },
      this.checkpoint.field,
      this.file,
      this.foreign.folder,
      // A run is always chosen; what may be empty is a path.
      this.errors.add("checkpoint", this.path, { value: () => this.named()?.value ?? "a run", use: (offer) => this.useOffer(offer) }),
      this.foreign.how,
      h("div", { class: "field" }, h("label", { for: dataId }, "Data set folder on this server"), this.place.element, this.errors.add("data", this.data)),
      h("div", { class: "row-fields" }, h("div", { class: "field" }, h("label", { for: `${dataId}-split` }, "Split"), this.split), h("div", { class: "field" }, h("label", { for: `${dataId}-size` }, "Size, px"), this.size)),
      this.errors.add("split", this.split),
      this.errors.add("size", this.size),
      this.ours,
      this.job.elements,
    );
    this.element = h(
      "div",
      { class: "side" },
      h("section", { class: "card batch", "aria-label": "Evaluate" }, h("header", {}, h("h2", {}, "Evaluate")), form),
      h("section", { class: "card", "aria-label": "Reports" }, h("header", {}, h("h2", {}, "Reports")), h("div", { class: "card-body" }, this.empty, this.list, on.sample.back)),
    );
    this.keep();
    this.showCheckpoint();
    this.showReports(config.reports);
    if (config.current?.state === "running") this.job.follow();
  }

  /** What is still there after a reload. */
  keep() {
    this.kept = new Kept();
    const { data, split, path, size } = this;
    for (const [name, input] of Object.entries({ checkpoint: this.checkpoint.input, file: path, data, split, size })) this.kept.add(name, input);
    this.measures.keep(this.kept);
    this.foreign.keep(this.kept);
  }

  /** Fill the form in again; returns the names that make no sense in it. */
  restore(texts) {
    const odd = this.kept.restore(texts);
    this.measures.restored();
    this.foreign.show();
    this.showCheckpoint();
    if (Object.keys(texts).length) this.changed();
    return odd;
  }

  options() {
    const runs = runOptions(this.config.checkpoints);
    if (this.config.files) return [...runs, [FILE, "Checkpoint file…"], [FOREIGN, "Predictions of another method…"]];
    return runs.length ? runs : [[NONE, "No checkpoint yet"]];
  }

  /** Show runs and reports as they are on disk now; what is chosen stays. */
  async refresh() {
    const none = !this.reports.length;
    try {
      this.config = await call(this.server, "hello", null);
    } catch {
      return; // the next visit asks again
    }
    relist(this.checkpoint.input, this.options());
    this.showCheckpoint();
    this.showReports(this.config.reports);
    if ((!this.open || (this.open === SAMPLE && none)) && this.reports.length) this.choose(this.reports[0].key);
    if (this.config.current?.state === "running" && !this.job.following) this.job.follow();
  }

  /** Choose a run's checkpoint, and open its own report; returns what is in the way. */
  takeRun(name) {
    const refused = takeCheckpoint(this.checkpoint.input, this.config.checkpoints, name);
    if (refused) return refused;
    this.chooseCheckpoint();
    if (this.reports.some((one) => one.key === name)) this.choose(name, { byHand: true });
    return "";
  }

  takeReport(name) {
    if (!this.has(name)) return `The report of ${name} cannot be opened.`;
    this.choose(name, { byHand: true });
    return "";
  }

  showCheckpoint() {
    const key = this.checkpoint.input.value;
    this.file.hidden = key !== FILE;
    this.foreign.hidden = key !== FOREIGN;
    this.ours.hidden = key === FOREIGN;
    this.size.placeholder = key === FOREIGN ? "320" : "the checkpoint's";
    this.split.placeholder = key === FOREIGN ? "val" : "the run's, or val";
    const run = [FILE, FOREIGN, NONE].includes(key) ? null : this.config.checkpoints.find((one) => one.run === JSON.parse(key)[0]);
    this.data.placeholder = run?.data ? `the run's: ${run.data}` : run ? "the run's" : "a folder or samples";
  }

  /** The input that names what is evaluated; null where it is a run's. */
  named() {
    return { [FILE]: this.path, [FOREIGN]: this.foreign.path }[this.checkpoint.input.value] ?? null;
  }

  /** What may have been meant, typed where it belongs. */
  useOffer(offer) {
    const input = this.named() ?? this.path;
    input.value = offer;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    input.focus();
  }

  chooseCheckpoint() {
    this.showCheckpoint();
    // With the run its data is chosen, unless some is named.
    if (!this.named()) this.errors.touch("data");
    this.changed();
  }

  changed() {
    this.on.typed();
    clearTimeout(this.checking);
    this.checking = setTimeout(() => this.ask(), CHECK_AFTER_MS);
  }

  /** What is wrong is said at its field while the form is filled in. */
  async check() {
    try {
      const { errors, offers } = await call(this.server, "check", this.request());
      this.errors.show(errors, offers);
    } catch {
      return; // starting it will say what is in the way
    }
  }

  request() {
    const key = this.checkpoint.input.value;
    return { checkpoint: this.chosen(key), data: this.data.value.trim(), split: this.split.value.trim(), size: this.size.value.trim(), ...(key === FOREIGN ? {} : this.measures.request()) };
  }

  chosen(key) {
    if (key === NONE) return null;
    if (key === FILE) return { file: this.path.value.trim() };
    if (key === FOREIGN) return this.foreign.request();
    const [run, which] = JSON.parse(key);
    return { run, which };
  }

  async ended(current) {
    if (current.state !== "done") return;
    this.place.remember();
    this.showReports((await call(this.server, "hello", null)).reports);
    this.choose(current.key, { byHand: true });
  }

  has(key) {
    return this.reports.some((one) => one.key === key) || (key === SAMPLE && Boolean(this.config.sample));
  }

  titleOf(key) {
    return key === SAMPLE ? "Sample" : this.reports.find((one) => one.key === key)?.title ?? "";
  }

  /** What is open where nothing else was asked for. */
  first() {
    return this.reports[0]?.key ?? (this.config.sample && !this.on.sample.hidden ? SAMPLE : null);
  }

  /** The sample was hidden, or is wanted again. */
  sampleChanged() {
    this.showReports(this.reports);
    if (!this.on.sample.hidden) this.choose(SAMPLE, { byHand: true });
    else this.leaveReport(SAMPLE);
  }

  /** A report is gone: another takes its place. */
  leaveReport(key) {
    if (this.beside.includes(key)) this.compare(key);
    if (this.open !== key) return;
    const first = this.first();
    if (first) this.choose(first, { byHand: true });
    else this.close();
  }

  showReports(reports) {
    this.reports = reports;
    const { sample } = this.config;
    this.empty.hidden = reports.length > 0;
    this.list.replaceChildren(
      ...reports.map((one) => {
        const when = moment(one.time);
        const numbers = one.accuracy === null ? "" : `U-Acc ${perCent(one.accuracy)}, U-mIoU ${perCent(one.miou)}${one.refined ? ` with ${one.refined}` : ""}`;
        const open = h("button", { type: "button", class: "open", onclick: () => this.choose(one.key, { byHand: true }) }, h("strong", {}, one.title), h("span", {}, one.data), h("span", {}, numbers), one.looks ? h("span", {}, one.looks) : null, h("span", {}, when));
        const beside = h("button", { type: "button", class: "quiet compare", title: `Compare with the open report; up to ${MOST_BESIDE + 1} at a time`, onclick: () => this.compare(one.key) }, "Compare");
        // A run's own report goes with the run.
        const remove = one.own ? h("button", { type: "button", class: "quiet", "aria-label": `Delete the report on ${one.title}, ${when}`, onclick: () => this.remove(one, when) }, "Delete") : null;
        return h("li", { dataset: { report: one.key } }, open, h("div", { class: "beside" }, beside, remove));
      }),
      ...(sample && !this.on.sample.hidden ? [sampleItem("report", sample.title, sample.text, () => this.choose(SAMPLE, { byHand: true }))] : []),
    );
    if (!sample) this.on.sample.back.hidden = true;
    this.mark();
  }

  async remove(one, when) {
    if (!confirm(`Delete the report on ${one.title} from ${when}?`)) return;
    try {
      const { reports } = await call(this.server, "remove", one.key);
      this.showReports(reports);
      this.leaveReport(one.key);
    } catch (error) {
      say(this.job.errors, [error.message]);
    }
  }

  close() {
    this.open = null;
    this.beside = [];
    this.on.closed();
  }

  /** byHand: somebody asked for it, so that Back returns to what was open before. */
  choose(key, { beside = this.beside, byHand = false } = {}) {
    this.open = key;
    this.beside = beside.filter((one) => one !== key).slice(0, MOST_BESIDE);
    this.mark();
    this.on.open(this.open, this.beside, byHand);
  }

  /** Put a report beside the open one, or take it away again. */
  compare(key) {
    this.beside = this.beside.includes(key) ? this.beside.filter((one) => one !== key) : [...this.beside, key];
    this.mark();
    this.on.open(this.open, this.beside, true);
  }

  mark() {
    for (const item of this.list.children) {
      const { report } = item.dataset;
      item.classList.toggle("current", report === this.open);
      const place = this.beside.indexOf(report);
      item.dataset.place = place < 0 ? "" : String(place + 1);
      const button = item.querySelector(".compare");
      if (!button) continue; // the sample
      button.hidden = report === this.open || !this.open;
      button.disabled = place < 0 && this.beside.length >= MOST_BESIDE;
      button.textContent = place < 0 ? "Compare" : "Remove";
    }
  }
}
