// Φ⁰, Ψ⁰, σ_pos, σ_amb and T: sliders with exact entry, presets, reset.
import { AIMS } from "../shared/aims.js";
import { card, h, newId, relist, select } from "../shared/dom.js";
import { noZone } from "../shared/zone.js";

// The preset that a run's features bring with them.
const TRAINING = "training";

/** "sigma_pos" → σ with its subscript, as elements. */
function symbol(text) {
  const [base, sub] = text.split("_");
  return sub ? h("span", {}, base, h("sub", {}, sub)) : h("span", {}, base);
}

export class Controls {
  /**
   * ranges and presets come from the server; onChange(settings) is called while a slider moves, and
   * suggest(aim) gives {settings, reasons} for the batch that is shown.
   */
  constructor({ ranges, presets }, onChange, suggest) {
    this.ranges = ranges;
    this.presets = presets;
    this.onChange = onChange;
    this.values = {};
    this.fields = {};
    const reset = h("button", { type: "button", class: "quiet", onclick: () => this.reset() }, "Reset");
    this.suggest = AIMS.map(({ aim, title, words, help }) => h("button", { type: "button", title: help, "aria-pressed": "false", dataset: { aim }, onclick: () => this.useSuggestion(suggest, aim) }, h("strong", {}, title), ` ${words}`));
    this.reasons = h("ul", { class: "reasons", role: "status", hidden: true });
    const { card: element, body } = card("Settings", { class: "card settings" }, reset);
    this.preset = select(
      "Preset",
      this.presetOptions(),
      "custom",
      (key) => this.usePreset(key),
    );
    const offer = h("div", { class: "aims", role: "group", "aria-label": "Suggest settings for these features" }, h("span", { class: "help" }, "Suggest"), ...this.suggest);
    body.append(this.preset.field, offer, this.reasons, ...ranges.map((range) => this.control(range)));
    this.element = element;
  }

  presetOptions() {
    const listed = (fits) => this.presets.filter(fits).map((p) => [p.key, p.title]);
    return [
      ["custom", "Custom"],
      ...listed((p) => p.key === TRAINING),
      { group: "Paper, Table 7", options: listed((p) => p.paper) },
      { group: "Not in the paper", options: listed((p) => !p.paper && p.key !== TRAINING) },
    ];
  }

  /** A batch is there whose features have a preset of their own, or may have been trained with one. */
  setBatch({ preset, training }) {
    this.presets = this.presets.filter((p) => p.key !== TRAINING);
    if (training) this.presets.unshift({ key: TRAINING, title: `Used to train ${training.title}`, settings: training.settings, paper: false });
    relist(this.preset.input, this.presetOptions());
    this.setDefault(preset);
    this.show();
  }

  control(range) {
    const id = newId("setting");
    const slider = h("input", {
      id: `${id}-slider`,
      type: "range",
      min: String(range.slider[0]),
      max: String(range.slider[1]),
      step: String(range.step),
      "aria-label": `${range.symbol}, slider`,
      "aria-describedby": `${id}-help`,
      dataset: { setting: range.name },
      oninput: () => this.take(range, slider.value),
    });
    const exact = h("input", {
      id,
      type: "text",
      inputmode: "decimal",
      autocomplete: "off",
      "aria-describedby": `${id}-help ${id}-error`,
      dataset: { exact: range.name },
      onchange: () => this.take(range, exact.value),
      onkeydown: (event) => event.key === "Enter" && this.take(range, exact.value),
    });
    const error = h("p", { id: `${id}-error`, class: "field-error", role: "alert", hidden: true });
    const note = h("p", { class: "help note", role: "status", hidden: true, dataset: { note: range.name } });
    this.fields[range.name] = { slider, exact, error, note };
    return h(
      "div",
      { class: "setting" },
      h("label", { for: id }, symbol(range.symbol)),
      slider,
      exact,
      h("p", { id: `${id}-help`, class: "help" }, range.meaning),
      error,
      note,
    );
  }

  take(range, text) {
    const value = Number(String(text).replace(",", ".").replace("−", "-"));
    const blank = String(text).trim() === "";
    const whole = !range.whole || Number.isInteger(value);
    if (blank || !Number.isFinite(value) || value < range.least || value > range.most || !whole) {
      const kind = range.whole ? "a whole number" : "a number";
      this.fail(range.name, `${range.symbol.replace("_", " ")} must be ${kind} from ${range.least} to ${range.most}.`);
      return;
    }
    this.fail(range.name, "");
    if (this.values[range.name] === value) {
      this.show();
      return;
    }
    this.values = { ...this.values, [range.name]: value };
    this.show();
    this.onChange(this.values);
  }

  fail(name, text) {
    const { error, exact } = this.fields[name];
    error.textContent = text;
    error.hidden = !text;
    exact.setAttribute("aria-invalid", String(Boolean(text)));
  }

  /** What is worth knowing of a value that is fine. */
  note(name, text) {
    const { note } = this.fields[name];
    note.textContent = text;
    note.hidden = !text;
  }

  /** Set all values without calling onChange. */
  set(values) {
    this.values = { ...values };
    for (const { name } of this.ranges) this.fail(name, "");
    this.show();
  }

  usePreset(key) {
    const preset = this.presets.find((p) => p.key === key);
    if (!preset) return;
    this.preset.input.value = key; // of two with the same values, the one that was chosen
    this.set(preset.settings);
    this.onChange(this.values);
  }

  async useSuggestion(suggest, aim) {
    for (const button of this.suggest) button.disabled = true;
    try {
      const { settings, reasons } = await suggest(aim);
      this.set(settings);
      this.onChange(this.values);
      this.explain(reasons, aim);
    } catch (error) {
      this.explain([error.message]);
    }
    for (const button of this.suggest) button.disabled = false;
  }

  /** Sentences below the buttons, and which of these they come from. */
  explain(reasons, aim = "") {
    this.reasons.hidden = reasons.length === 0;
    this.reasons.replaceChildren(...reasons.map((reason) => h("li", {}, reason)));
    for (const button of this.suggest) button.setAttribute("aria-pressed", String(button.dataset.aim === aim));
  }

  /** What Reset goes back to: the preset that suits the batch's backbone. */
  setDefault(key) {
    this.standard = key;
    this.explain([]); // they were those of another batch
  }

  reset() {
    this.usePreset(this.standard);
  }

  show() {
    for (const { name, whole } of this.ranges) {
      const { slider, exact } = this.fields[name];
      const value = this.values[name];
      slider.value = String(value);
      const [low, high] = [Number(slider.min), Number(slider.max)];
      const share = Math.max(0, Math.min(1, (value - low) / (high - low)));
      slider.style.setProperty("--share", `${100 * share}%`);
      exact.value = whole ? String(value) : String(Math.round(value * 1000) / 1000);
    }
    this.note("psi0", noZone(this.values.phi0, this.values.psi0));
    const same = (settings) => this.ranges.every(({ name }) => settings[name] === this.values[name]);
    this.explain([]); // reasons are those of the suggestion that was taken
    const current = this.presets.find((p) => p.key === this.preset.input.value && same(p.settings));
    this.preset.input.value = (current ?? this.presets.find((p) => same(p.settings)))?.key ?? "custom";
  }
}
