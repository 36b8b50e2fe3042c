// What is studied, how far that is, and the studies that there are.
import { call, latestOnly } from "../shared/client.js";
import { choice, h, moment, newId, select } from "../shared/dom.js";
import { FieldErrors } from "../shared/fields.js";
import { JobControls } from "../shared/job.js";
import { Kept } from "../shared/keep.js";
import { say } from "../shared/messages.js";
import { SAMPLE, sampleItem } from "../shared/sample.js";
import { PathField } from "../shared/path-field.js";

const POLL_MS = 500;
const CHECK_AFTER_MS = 300;
const SETTINGS = [["advice", "Suggested"], ["explore", "As in Explore"]];

export class StudyForm {
  /** on: {open(key or null, byHand), settings() → Explore's, typed(), empty() → whether nothing is open, sample}. */
  constructor(server, config, on) {
    Object.assign(this, { server, config, on, current: null });
    const dataId = newId("study-data");
    this.data = h("input", { id: dataId, type: "text", value: "samples" });
    this.place = new PathField(server, this.data, { about: true, extras: () => ["samples"] });
    this.split = this.text("", "train, if there is one");
    this.images = this.text("32");
    this.batches = this.text("1");
    this.anchors = this.text("1000");
    this.seed = this.text("0");
    this.size = select("Size", config.sizes.map((size) => [String(size), `${size} px`]), "320", () => {});
    this.backbone = select("Backbone", config.backbones.map((one) => [one.name, one.title]), config.backbone, () => {});
    const runs = config.runs.map(({ run, data }) => [run, data ? `${run} (${data.replace(/\/+$/, "").split("/").at(-1)})` : run]);
    this.run = select("Compare with a run", [["", "None"], ...runs], "", () => this.runChanged());
    this.settings = "advice";
    const from = choice("PPAP's settings", SETTINGS, "advice", (key) => {
      this.settings = key;
      this.changed();
    });
    this.sweep = h("input", { id: newId("sweep"), type: "checkbox", checked: true, onchange: () => (this.axes.hidden = !this.sweep.checked) });
    this.errors = new FieldErrors();
    this.ask = latestOnly(() => this.check());
    this.command = h("textarea", { readonly: true, rows: "6", "aria-label": "Command line", spellcheck: "false", dataset: { part: "command" } });
    this.x = this.axis("x axis", config.axes.x);
    this.y = this.axis("y axis", config.axes.y);
    this.axes = h("div", { class: "axes" }, this.x.element, this.y.element);
    this.job = new JobControls(server, { begin: "Study", doing: "Studying" }, POLL_MS, { request: () => this.request(), ended: (job) => this.ended(job), refused: (error) => this.errors.refuse(error) });
    this.list = h("ul", { class: "reports" });
    this.empty = h("p", { class: "help" }, "No studies yet.");
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
      h("div", { class: "field" }, h("label", { for: dataId }, "Image folder on this server, or samples"), this.place.element),
      this.errors.add("data", this.data),
      this.labelled("Split", this.split),
      this.errors.add("split", this.split),
      this.backbone.field,
      this.errors.add("backbone", this.backbone.input),
      this.run.field,
      this.errors.add("run", this.run.input),
      h("div", { class: "row-fields" }, this.labelled("Images", this.images), this.labelled("Batches", this.batches), this.size.field),
      h("div", { class: "row-fields" }, this.labelled("Anchors", this.anchors), this.labelled("Seed", this.seed)),
      Object.entries({ images: this.images, batches: this.batches, size: this.size.input, anchors: this.anchors, seed: this.seed }).map(([name, input]) => this.errors.add(name, input)),
      h("div", { class: "field" }, h("span", { class: "label" }, "PPAP's settings"), from.group),
      h("label", { class: "check", for: this.sweep.id }, this.sweep, "Sweep two settings"),
      this.axes,
      ["x", "y"].map((name) => this.errors.add(name, this[name].first, { value: () => JSON.stringify(this[name].value()) })),
      this.job.elements,
      h("h3", {}, "Command line"),
      this.command,
    );
    this.element = h(
      "div",
      { class: "side" },
      h("section", { class: "card batch", "aria-label": "Study" }, h("header", {}, h("h2", {}, "Study")), form),
      h("section", { class: "card", "aria-label": "Studies" }, h("header", {}, h("h2", {}, "Studies")), h("div", { class: "card-body" }, this.empty, this.list, on.sample.back)),
    );
    this.keep(from);
    this.showStudies(config.studies);
    this.ask();
    if (config.current?.state === "running") this.job.follow();
  }

  /** What is still there after a reload. */
  keep(from) {
    this.kept = new Kept();
    const { data, split, images, batches, anchors, seed } = this;
    const inputs = { data, split, images, batches, anchors, seed, size: this.size.input, backbone: this.backbone.input, run: this.run.input, sweep: this.sweep };
    for (const [name, input] of Object.entries(inputs)) this.kept.add(name, input);
    for (const axis of ["x", "y"]) {
      for (const [part, input] of Object.entries(this[axis].inputs)) this.kept.add(`${axis}.${part}`, input);
    }
    const set = (key) => {
      const known = SETTINGS.some(([one]) => one === key);
      if (known) from.set((this.settings = key));
      return known;
    };
    this.kept.add("settings", { get: () => this.settings, set });
  }

  /** Fill the form in again; returns the names that make no sense in it. */
  restore(texts) {
    const odd = this.kept.restore(texts);
    this.axes.hidden = !this.sweep.checked;
    this.runChanged();
    this.ask();
    return odd;
  }

  /** A run brings its own frozen backbone. */
  runChanged() {
    this.backbone.input.disabled = this.run.input.value !== "";
  }

  text(value, placeholder) {
    return h("input", { id: newId("study"), type: "text", value, placeholder, autocomplete: "off", spellcheck: "false" });
  }

  labelled(name, input) {
    return h("div", { class: "field" }, h("label", { for: input.id }, name), input);
  }

  changed() {
    this.on.typed();
    clearTimeout(this.checking);
    this.checking = setTimeout(() => this.ask(), CHECK_AFTER_MS);
  }

  /** What is wrong is said at its field; what is elsewhere, when the study is begun. */
  async check() {
    let reply;
    try {
      reply = await call(this.server, "check", this.request());
    } catch {
      return;
    }
    this.errors.show(reply.errors, reply.offers);
    if (reply.command) this.command.value = reply.command;
  }

  /** A setting with its first and last value, and how many there are. */
  axis(title, { setting, values }) {
    const range = (name) => this.config.ranges.find((one) => one.name === name);
    const [first, last, number] = [this.text(""), this.text(""), this.text("")];
    const fill = (name, low, high, amount) => {
      first.value = String(low);
      last.value = String(high);
      number.value = String(amount);
    };
    const usual = { phi0: [0.3, 0.75, 10], psi0: [0.05, 0.5, 10], sigma_pos: [1, 10, 10], sigma_amb: [1, 10, 10], steps: [0, 5, 6] };
    const kind = select(title, this.config.ranges.map(({ name, symbol }) => [name, symbol.replace("_", " ")]), setting, (name) => fill(name, ...usual[name]));
    fill(setting, values[0], values.at(-1), values.length);
    const element = h("div", { class: "axis row-fields" }, kind.field, this.labelled("from", first), this.labelled("to", last), this.labelled("values", number));
    return { element, first, inputs: { setting: kind.input, first, last, count: number }, value: () => ({ setting: range(kind.input.value).name, first: first.value.trim(), last: last.value.trim(), count: number.value.trim() }) };
  }

  request() {
    return {
      data: this.data.value.trim(),
      split: this.split.value.trim(),
      backbone: this.backbone.input.value,
      run: this.run.input.value,
      images: this.images.value.trim(),
      batches: this.batches.value.trim(),
      anchors: this.anchors.value.trim(),
      seed: this.seed.value.trim(),
      size: this.size.input.value,
      settings: this.settings === "explore" ? this.on.settings() : null,
      sweep: this.sweep.checked,
      x: this.x.value(),
      y: this.y.value(),
    };
  }

  async ended(current) {
    if (current.state === "cancelled") say(this.job.errors, ["Cancelled."]);
    if (current.state !== "done") return;
    this.place.remember();
    this.showStudies((await call(this.server, "hello", null)).studies);
    this.choose(current.key, true);
  }

  /** Show the studies as they are on disk now. */
  async refresh() {
    let found;
    try {
      found = await call(this.server, "hello", null);
    } catch {
      return; // the next visit asks again
    }
    const first = !this.studies.length && found.studies.length;
    this.showStudies(found.studies);
    if (first && (this.current === SAMPLE || this.on.empty())) this.choose(this.first());
    if (found.current?.state === "running" && !this.job.following) this.job.follow();
  }

  has(key) {
    return this.studies.some((one) => one.key === key) || (key === SAMPLE && Boolean(this.config.sample));
  }

  titleOf(key) {
    return key === SAMPLE ? "Sample" : this.studies.find((one) => one.key === key)?.title ?? "";
  }

  /** What is open where nothing else was asked for. */
  first() {
    return this.studies[0]?.key ?? (this.config.sample && !this.on.sample.hidden ? SAMPLE : null);
  }

  /** The sample was hidden, or is wanted again. */
  sampleChanged() {
    this.showStudies(this.studies);
    if (!this.on.sample.hidden) this.choose(SAMPLE, true);
    else if (this.current === SAMPLE) this.choose(this.first(), true);
  }

  showStudies(studies) {
    this.studies = studies;
    this.empty.hidden = studies.length > 0;
    const { sample } = this.config;
    this.list.replaceChildren(
      ...studies.map((one) => {
        const when = moment(one.time);
        const open = h("button", { type: "button", class: "open", onclick: () => this.choose(one.key, true) }, h("strong", {}, one.title), h("span", {}, one.text), h("span", {}, when));
        const remove = h("button", { type: "button", class: "quiet beside", "aria-label": `Delete the study of ${one.title}, ${when}`, onclick: () => this.remove(one, when) }, "Delete");
        return h("li", { dataset: { study: one.key } }, open, remove);
      }),
      ...(sample && !this.on.sample.hidden ? [sampleItem("study", sample.title, sample.text, () => this.choose(SAMPLE, true))] : []),
    );
    if (!sample) this.on.sample.back.hidden = true;
    this.mark();
  }

  async remove(one, when) {
    if (!confirm(`Delete the study of ${one.title} from ${when}, with its figures and tables?`)) return;
    try {
      const { studies } = await call(this.server, "remove", one.key);
      this.showStudies(studies);
      if (this.current === one.key) this.choose(this.first(), true);
    } catch (error) {
      say(this.job.errors, [error.message]);
    }
  }

  /** byHand: somebody asked for it, so that Back returns to what was open before. */
  choose(key, byHand = false) {
    this.current = key;
    this.mark();
    this.on.open(key, byHand);
  }

  /** No study is open any more. */
  leave() {
    this.current = null;
    this.mark();
  }

  mark() {
    for (const item of this.list.children) item.classList.toggle("current", item.dataset.study === this.current);
  }
}
