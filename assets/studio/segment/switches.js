// How borders are refined, and how often each picture is looked at.
import { choice, h, newId, select } from "../shared/dom.js";

export const USUAL = { refine: "none", mirror: false, scales: [1], window: 0, shifts: 1 };
const SHIFTS = [["1", "Off"], ["2", "2 × 2"], ["4", "4 × 4"]];
const SAID = { none: "", crf: "CRF: aligns borders with colour edges, as in the paper.", pamr: "PAMR: aligns borders with colour edges; faster than the CRF, and needs no compiler." };

/** "0.5, 1 2" → [0.5, 1, 2]; null for what are no numbers. */
export function readScales(text) {
  const parts = text.split(/[\s,;]+/).filter(Boolean);
  const numbers = parts.map(Number);
  return numbers.every((one) => Number.isFinite(one) && one > 0) ? (numbers.length ? numbers : [1]) : null;
}

export class SwitchFields {
  /** errors: the form's; why: why there is no CRF, or nothing; ask(changes): they were changed by hand. */
  constructor(errors, why, ask) {
    Object.assign(this, { errors, why, ask });
    this.refine = choice("Refinement", [["none", "None"], ["crf", "CRF", why ?? ""], ["pamr", "PAMR"]], "none", (refine) => this.changed({ refine }));
    // A row of buttons that takes errors as a field does.
    const crf = this.refine.group.querySelector("[data-value=crf]");
    crf.disabled = Boolean(why);
    this.mirror = h("input", { id: newId("mirror"), type: "checkbox", onchange: () => this.changed({ mirror: this.mirror.checked }) });
    this.scales = this.text("scales", "1", () => this.changedScales());
    this.window = this.text("window", "off", () => this.changedWindow());
    this.shifts = select("Shifts", SHIFTS, "1", (shifts) => this.changed({ shifts: Number(shifts) }));
    this.said = h("p", { class: "help" });
    this.on = h("span", { class: "on" });
    this.fold = h(
      "details",
      { class: "fold" },
      h("summary", {}, h("span", { class: "title" }, "Inference"), this.on),
      h(
        "div",
        { class: "inside" },
        h("div", { class: "field" }, h("label", { class: "check", for: this.mirror.id }, this.mirror, "Average with the mirror image"), errors.add("mirror", this.mirror)),
        this.field("scales", "Scales", this.scales, "Averages over the image at these scales, such as 0.75 1 1.25."),
        this.field("window", "Sliding window, px", this.window, "Side of the window, a multiple of the patch size; neighbouring windows overlap by at least half."),
        h("div", {}, this.shifts.field, errors.add("shifts", this.shifts.input)),
        h("p", { class: "help" }, "Finer maps, from the image shifted by fractions of a patch: 4 or 16 passes."),
      ),
    );
    this.elements = [
      h("div", { class: "field" }, h("span", { class: "label" }, "Refinement"), this.refine.group, errors.add("refine", this.refine.group, { value: () => "chosen" }), this.said),
      this.fold,
    ];
    this.adopt(USUAL);
  }

  text(name, placeholder, onchange) {
    return h("input", { id: newId(name), type: "text", placeholder, inputmode: "decimal", autocomplete: "off", spellcheck: "false", onchange });
  }

  field(name, label, input, help) {
    return h("div", { class: "field" }, h("label", { for: input.id }, label), input, this.errors.add(name, input), h("p", { class: "help" }, help));
  }

  /** Make the controls say what a request asks for. */
  adopt(request) {
    const { refine, mirror, scales, window, shifts } = { ...USUAL, ...request };
    this.refine.set(refine);
    this.mirror.checked = mirror;
    this.scales.value = scales.length === 1 && scales[0] === 1 ? "" : scales.join(" ");
    this.window.value = window ? String(window) : "";
    if (![...this.shifts.input.options].some(({ value }) => value === String(shifts))) this.shifts.input.append(h("option", { value: String(shifts) }, `${shifts} × ${shifts}`));
    this.shifts.input.value = String(shifts);
    this.asked = { refine, mirror, scales, window, shifts };
    this.tell();
    if (this.on.textContent) this.fold.open = true;
  }

  changed(changes) {
    Object.assign(this.asked, changes);
    this.tell();
    this.ask(changes);
  }

  changedScales() {
    const scales = readScales(this.scales.value);
    if (scales) this.changed({ scales });
    else this.refuse("scales", "Scales must be numbers, such as 0.75 1 1.25.");
  }

  changedWindow() {
    const window = this.window.value.trim() === "" ? 0 : Number(this.window.value);
    if (Number.isInteger(window) && window >= 0) this.changed({ window });
    else this.refuse("window", "The window must be a whole number of pixels.");
  }

  refuse(name, sentence) {
    this.errors.sent = true;
    this.errors.show({ [name]: sentence });
  }

  /** What is on, and what it costs. */
  tell() {
    const { refine, mirror, scales, window, shifts } = this.asked;
    const looks = (mirror ? 2 : 1) * shifts ** 2 * scales.reduce((sum, scale) => sum + scale * scale, 0);
    const cost = Math.abs(looks - 1) > 0.05 ? `time × ${looks.toLocaleString("en-US", { maximumFractionDigits: 1 })}` : "";
    this.on.textContent = [cost, window ? "windows" : ""].filter(Boolean).join(", ");
    this.said.textContent = [this.why && `${this.why} PAMR is used instead.`, SAID[refine]].filter(Boolean).join(" ");
    this.said.hidden = !this.said.textContent;
  }
}
