// What an evaluation measures beyond the probes: refinement, looks, clusters, retrieval. Part of the form.
import { h, newId, select } from "../shared/dom.js";

const METHODS = [["merged", "Merged", "Small k-means clusters, merged by average linkage"], ["kmeans", "k-means", "k-means on normalised features"], ["probe", "Probe", "A separate cluster probe, with spread-out starting centroids"]];
const SHIFTS = [["1", "Off"], ["2", "2 × 2"], ["4", "4 × 4"]];
const FEATURES = [["tuned", "Trained"], ["frozen", "Frozen backbone"]];
const PROTOCOLS = [["", "The run's"], ["studio", "PPAP Studio's"], ["published", "Published"]];

export class MeasureFields {
  /** errors: the form's; why: the sentence why there is no CRF, or nothing. */
  constructor(errors, why) {
    Object.assign(this, { errors });
    const one = { crf: ["crf", "CRF"], pamr: ["pamr", "PAMR"], both: ["crf pamr", "Both, separately"] };
    this.refine = select("Refinement", [["", "None"], one.pamr, one.crf, one.both], "", () => this.tell());
    for (const option of this.refine.input.options) option.disabled = Boolean(why) && option.value.includes("crf");
    this.mirror = this.box("Average with the mirror image");
    this.scales = this.text({ placeholder: "1" });
    this.window = this.text({ placeholder: "off", inputmode: "numeric" });
    this.shifts = select("Shifts", SHIFTS, "1", () => this.tell());
    this.protocol = select("Protocol", PROTOCOLS, "", () => this.tell());
    this.clusters = this.text({ placeholder: "none; such as 27 100 300 500" });
    this.by = METHODS.map(([name, label, title]) => [name, this.box(label, title, true)]);
    this.features = select("Features", FEATURES, "tuned", () => this.tell());
    this.train = this.text({ placeholder: "the run's" });
    this.seed = this.text({ value: "0", inputmode: "numeric" });
    this.starts = this.text({ placeholder: "none; such as 10", inputmode: "numeric" });
    this.retrieval = this.box("Dense retrieval");
    this.looks = this.fold("Inference", [
      this.boxed("mirror", this.mirror, "STEGO, EAGLE, CAUSE and PriMaPs are evaluated this way; PPAP is not. Time × 2."),
      this.labelled("scales", "Scales", this.scales, "Averages over the image at these scales, such as 0.75 1 1.25. Time × the sum of their squares."),
      this.labelled("window", "Sliding window, px", this.window, "Side of the window, a multiple of the patch size; neighbouring windows overlap by at least half. Time × 2 to 4."),
      this.chosen("shifts", this.shifts, "Finer maps, from the image shifted by fractions of a patch. Time × 4 or 16."),
      this.chosen("protocol", this.protocol, "The published protocol follows the authors' code wherever this project differs from it. No extra time."),
    ]);
    this.more = this.fold("More metrics", [
      this.labelled("clusters", "Numbers of clusters", this.clusters, "Clusters the training images again with each of these numbers, at least as many as there are classes. Takes minutes, and longer for larger numbers."),
      h("div", { class: "field", role: "group", "aria-label": "Clustering method" }, h("span", { class: "label" }, "Clustering method"), h("div", { class: "inline" }, this.by.map(([, box]) => box.label)), errors.add("by", this.by[0][1].input)),
      this.chosen("features", this.features, "What to cluster: the trained features, or those of the frozen backbone."),
      this.labelled("starts", "Many starts", this.starts, "Clusters this many times from each kind of start, keeps the one with the lowest loss and shows the spread, for trained and frozen features. Takes minutes."),
      this.boxed("retrieval", this.retrieval, "Every patch takes the labels of its 30 nearest neighbours in the training split, with trained and with frozen features. Takes seconds per image."),
      h("div", { class: "row-fields" }, this.labelled("train", "Training split", this.train), this.labelled("seed", "Seed", this.seed)),
    ]);
    this.elements = [
      this.chosen("refine", this.refine, why || "Also scores the predictions after aligning their borders with the image. CRF, as in the paper: about 0.5 s per image on one core. PAMR: about 0.3 s, or less on a GPU."),
      this.looks.element,
      this.more.element,
    ];
    this.tell();
  }

  // --- parts

  text(attributes) {
    return h("input", { id: newId("measure"), type: "text", autocomplete: "off", spellcheck: "false", oninput: () => this.tell(), ...attributes });
  }

  box(label, title, checked = false) {
    const input = h("input", { id: newId("measure"), type: "checkbox", checked, onchange: () => this.tell() });
    return { input, label: h("label", { class: "check", for: input.id, title }, input, label) };
  }

  hint(input, text) {
    const help = h("p", { id: newId("hint"), class: "help" }, text);
    input.setAttribute("aria-describedby", help.id);
    return help;
  }

  labelled(name, label, input, help = "") {
    const hint = help ? this.hint(input, help) : null;
    return h("div", { class: "field" }, h("label", { for: input.id }, label), input, hint, this.errors.add(name, input));
  }

  chosen(name, { input, field }, help) {
    field.append(this.hint(input, help), this.errors.add(name, input));
    return field;
  }

  boxed(name, { input, label }, help) {
    return h("div", { class: "field" }, label, this.hint(input, help), this.errors.add(name, input));
  }

  /** Folded away; its line says what is on inside. */
  fold(title, content) {
    const on = h("span", { class: "on" });
    return { on, element: h("details", { class: "fold" }, h("summary", {}, h("span", { class: "title" }, title), on), h("div", { class: "inside" }, content)) };
  }

  // --- what is asked for

  request() {
    const words = (text) => text.trim();
    return {
      refine: this.refine.input.value.split(" ").filter(Boolean),
      mirror: this.mirror.input.checked,
      scales: words(this.scales.value),
      window: words(this.window.value),
      shifts: this.shifts.input.value,
      protocol: this.protocol.input.value,
      clusters: words(this.clusters.value),
      by: this.by.filter(([, box]) => box.input.checked).map(([name]) => name),
      features: this.features.input.value,
      starts: words(this.starts.value),
      retrieval: this.retrieval.input.checked,
      train: words(this.train.value),
      seed: words(this.seed.value),
    };
  }

  /** The folds' lines: what is on, and what it costs. */
  tell() {
    const { mirror, scales, window, shifts, protocol, clusters, starts, retrieval } = this.request();
    const sizes = scales.split(/[\s,;]+/).map(Number).filter((size) => size > 0);
    const looks = (mirror ? 2 : 1) * Number(shifts) ** 2 * (sizes.length ? sizes.reduce((sum, size) => sum + size * size, 0) : 1);
    const cost = looks > 1.05 || looks < 0.95 ? `time × ${looks.toLocaleString("en-US", { maximumFractionDigits: 1 })}` : "";
    this.looks.on.textContent = [cost, window && window !== "0" ? "windows" : "", protocol].filter(Boolean).join(", ");
    const counts = clusters.split(/[\s,;]+/).filter(Boolean);
    this.more.on.textContent = [counts.length ? `K = ${counts.slice(0, 3).join(", ")}${counts.length > 3 ? ", …" : ""}` : "", starts && starts !== "0" ? `${starts} starts` : "", retrieval ? "retrieval" : ""].filter(Boolean).join("; ");
  }

  /** What is still there after a reload. */
  keep(kept) {
    const inputs = { refine: this.refine.input, mirror: this.mirror.input, scales: this.scales, window: this.window, shifts: this.shifts.input, protocol: this.protocol.input, clusters: this.clusters, features: this.features.input, train: this.train, seed: this.seed, starts: this.starts, retrieval: this.retrieval.input };
    for (const [name, input] of Object.entries(inputs)) kept.add(name, input);
    for (const [name, box] of this.by) kept.add(`by.${name}`, box.input);
  }

  /** The form was filled in again: what is on is seen. */
  restored() {
    this.tell();
    for (const { element, on } of [this.looks, this.more]) element.open ||= Boolean(on.textContent);
  }
}
