// Where a run is to be: on this machine, or as a job of SLURM's, with what SLURM is asked for.
import { h, newId, select } from "./dom.js";

export const HERE = "here";
export const SLURM = "slurm";
const PLACES = [[HERE, "This machine"], [SLURM, "SLURM"]];

/** Whether runs can be sent to SLURM from here. */
export const hasSlurm = (lists) => Boolean(lists.slurm) && !lists.slurm.absent;

export class Place {
  /** lists: the server's; errors: of the form's fields; changed(): somebody has typed. */
  constructor(lists, errors, changed) {
    this.options = lists.slurm?.options ?? [];
    this.changed = changed;
    this.inputs = {};
    this.on = select("On", PLACES, HERE, () => this.typed());
    this.on.input.dataset.part = "on";
    this.on.field.append(errors.add("on", this.on.input));
    const rows = this.options.map((option) => this.row(option, errors));
    this.asked = h("div", { class: "inside", hidden: true }, rows);
    this.count = h("span", { class: "count" });
    this.element = h(
      "details",
      { class: "place", dataset: { group: "Where it runs" }, hidden: !hasSlurm(lists) },
      h("summary", {}, h("span", { class: "title" }, "Where it runs"), this.count),
      h("div", { class: "inside" }, this.on.field, this.asked),
    );
  }

  row({ name, meaning, usual }, errors) {
    const id = newId(`slurm-${name}`);
    const input = h("input", { id, type: "text", autocomplete: "off", spellcheck: "false", placeholder: usual, dataset: { slurm: name }, "aria-describedby": `${id}-help`, oninput: () => this.typed() });
    this.inputs[name] = input;
    return h("div", { class: "set" }, h("label", { for: id }, name), input, h("p", { id: `${id}-help`, class: "help" }, meaning), errors.add(`slurm.${name}`, input));
  }

  typed() {
    this.show();
    this.changed();
  }

  show() {
    const slurm = this.on.input.value === SLURM;
    this.asked.hidden = !slurm;
    this.count.textContent = slurm ? "SLURM" : "";
  }

  /** What SLURM is asked for beside its defaults. */
  get given() {
    return Object.fromEntries(Object.entries(this.inputs).map(([name, input]) => [name, input.value.trim()]).filter(([, value]) => value));
  }

  /** The order's part: nothing for this machine. */
  request() {
    return this.on.input.value === SLURM ? { on: SLURM, slurm: this.given } : {};
  }

  /** What is half filled in, as texts by name. */
  texts() {
    const { on, slurm } = this.request();
    return on ? { on, ...Object.fromEntries(Object.entries(slurm).map(([name, value]) => [`slurm.${name}`, value])) } : {};
  }

  /** Take what `texts()` gave out of other texts; returns those that are left. */
  restore(texts) {
    const left = {};
    const slurm = {};
    for (const [name, value] of Object.entries(texts)) {
      const option = name.startsWith("slurm.") ? name.slice(6) : "";
      if (option in this.inputs) slurm[option] = value;
      else if (name !== "on") left[name] = value;
    }
    this.fill({ on: texts.on, slurm });
    return left;
  }

  /** Show where a run was, and with what. */
  fill({ on, slurm = {} }) {
    this.on.input.value = on === SLURM && !this.element.hidden ? SLURM : HERE;
    for (const { name, usual } of this.options) {
      const value = Array.isArray(slurm?.[name]) ? slurm[name].join(" ") : String(slurm?.[name] ?? "");
      this.inputs[name].value = value === usual ? "" : value;
    }
    this.show();
    this.element.open ||= this.on.input.value === SLURM;
  }
}
