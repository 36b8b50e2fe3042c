// The features of a run: which run, which of its kept steps, and which of its outputs.
import { call } from "../shared/client.js";
import { choice, count, fixed, h, newId, relist, select } from "../shared/dom.js";

export const OUTPUTS = [
  ["backbone", "Trained", "The trained backbone's features, which the probes and inference use"],
  ["projection", "z", "The projection, which the loss compares"],
];
const FIRST = ["", "Choose a run…"];

/** What a run is called in the list. */
const told = ({ run, step, data, miou }) => [run, miou === null ? null : `U-mIoU ${fixed(miou, 1)} %`, `step ${count(step)}`, data.split("/").pop()].filter(Boolean).join(" · ");

export class RunPanel {
  /** on: {change(fields), images?({run, at, output})}. */
  constructor(server, on) {
    Object.assign(this, { server, on });
    this.steps = [];
    this.at = 0;
    this.output = "backbone";
    this.list = select("Run", [FIRST], "", (run) => run && this.change({ run, at: 0 }));
    const id = newId("stage");
    this.slider = h("input", { id, type: "range", min: "0", max: "0", step: "1", value: "0", dataset: { part: "stage" }, oninput: () => this.tell(), onchange: () => this.pick() });
    this.when = h("output", { for: id, dataset: { part: "stage-step" } });
    this.stages = h("div", { class: "field stages", hidden: true }, h("div", { class: "ends" }, h("label", { for: id }, "Step"), this.when), this.slider);
    this.kind = choice("Output", OUTPUTS, "backbone", (output) => {
      this.output = output;
      if (this.run && this.at !== "frozen") this.change({});
    });
    this.outputs = h("div", { class: "field", hidden: true }, h("span", { class: "label", "aria-hidden": "true" }, "Output"), this.kind.group);
    this.help = h("p", { class: "help", hidden: true });
    this.images = h("button", { type: "button", hidden: true, title: "Open the images this run is validated on, at its image size", onclick: () => on.images({ run: this.run, at: this.at === "frozen" ? 0 : this.at, output: this.at === "frozen" ? "frozen" : this.output }) }, "Its validation images");
    this.said = h("p", { class: "field-error", role: "alert", hidden: true });
    this.element = h("div", { class: "feature-panel" }, this.list.field, this.said, this.stages, this.outputs, this.help, this.images);
  }

  /** Ask which runs there are. */
  async look() {
    this.said.hidden = true;
    try {
      const { runs } = await call(this.server, "runs", null);
      this.relist(runs.map((one) => [one.run, told(one)]));
      this.said.hidden = runs.length > 0;
      this.said.textContent = "No run has a checkpoint yet. Start one in Train.";
    } catch (error) {
      this.said.hidden = false;
      this.said.textContent = error.message;
    }
  }

  relist(options) {
    const here = this.run && !options.some(([run]) => run === this.run) ? [[this.run, this.run]] : [];
    relist(this.list.input, [FIRST, ...here, ...options]);
    this.list.input.value = this.run ?? "";
  }

  change(changes) {
    const { run = this.run, at = this.at } = changes;
    const output = at === "frozen" ? "frozen" : this.output;
    this.on.change({ backbone: "run", run, at: at === "frozen" ? 0 : at, output });
  }

  /** The stop that the slider stands at: "frozen" or a step. */
  get stop() {
    const place = Number(this.slider.value);
    return place === 0 ? "frozen" : this.steps[place - 1].step;
  }

  tell() {
    const { stop, slider } = this;
    const names = stop === "frozen" ? [] : this.steps.find(({ step }) => step === stop).names.filter((name) => name !== "last");
    const text = stop === "frozen" ? "0: frozen, before training" : `step ${count(stop)} of ${count(this.total)}${names.length ? ` (${names.join(", ")})` : ""}`;
    this.when.textContent = text;
    slider.setAttribute("aria-valuetext", text);
    slider.style.setProperty("--share", `${(100 * Number(slider.value)) / Math.max(1, Number(slider.max))}%`);
  }

  pick() {
    this.tell();
    if (this.stop !== this.at) this.change({ at: this.stop });
  }

  /** Show what is on screen: a run's recipe, and what the run has kept. */
  set({ run, at, output }, about) {
    this.run = run;
    this.at = output === "frozen" ? "frozen" : at;
    if (output && output !== "frozen") this.output = output;
    const { input } = this.list;
    const listed = [...input.options].some((option) => option.value === run);
    if (!listed) {
      input.append(h("option", { value: run }, run));
      this.look();
    }
    input.value = run;
    this.kind.set(this.output);
    this.images.hidden = !this.on.images;
    this.outputs.hidden = false;
    for (const button of this.kind.group.children) button.disabled = this.at === "frozen";
    this.showSteps(about);
  }

  showSteps(about) {
    const kept = about?.run === this.run ? about.steps : [];
    this.stages.hidden = this.help.hidden = kept.length === 0;
    if (!kept.length) return;
    Object.assign(this, { steps: kept, total: about.total });
    this.slider.max = String(kept.length);
    this.slider.value = String(this.at === "frozen" ? 0 : 1 + kept.findIndex(({ step }) => step === this.at));
    this.tell();
    this.help.hidden = about.keep === null || kept.length < about.keep;
    this.help.textContent = `This run keeps its ${about.keep} newest checkpoints. To see more steps, raise “keep” in Train (under Validation and checkpoints) before you start a run.`;
  }
}
