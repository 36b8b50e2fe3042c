// Φ⁰, Ψ⁰, σ_pos, σ_amb and T: sliders with exact entry, presets, reset.
import { card, h, newId, select } from "../shared/dom.js";

/** "sigma_pos" → σ with its subscript, as elements. */
function symbol(text) {
  const [base, sub] = text.split("_");
  return sub ? h("span", {}, base, h("sub", {}, sub)) : h("span", {}, base);
}

export class Controls {
  /**
   * ranges and presets come from the server; onChange(settings) is called while a slider moves, and
   * suggest() gives {settings, reasons} for the batch that is shown.
   */
  constructor({ ranges, presets }, onChange, suggest) {
    this.ranges = ranges;
    this.presets = presets;
    this.onChange = onChange;
    this.values = {};
    this.fields = {};
    const reset = h("button", { type: "button", class: "quiet", onclick: () => this.reset() }, "Reset");
    this.suggest = h("button", { type: "button", class: "quiet", title: "Settings that suit these features; labels are not looked at", onclick: () => this.useSuggestion(suggest) }, "Suggest");
    this.reasons = h("ul", { class: "reasons", role: "status", hidden: true });
    const { card: element, body } = card("Settings", { class: "card settings" }, this.suggest, reset);
    this.preset = select(
      "Preset",
      [
        ["custom", "Own settings"],
        { group: "Paper, Table 7", options: presets.filter((p) => p.paper).map((p) => [p.key, p.title]) },
        { group: "Not in the paper", options: presets.filter((p) => !p.paper).map((p) => [p.key, p.title]) },
      ],
      "custom",
      (key) => this.usePreset(key),
    );
    body.append(this.preset.field, this.reasons, ...ranges.map((range) => this.control(range)));
    this.element = element;
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
    this.fields[range.name] = { slider, exact, error };
    return h(
      "div",
      { class: "setting" },
      h("label", { for: id }, symbol(range.symbol)),
      slider,
      exact,
      h("p", { id: `${id}-help`, class: "help" }, range.meaning),
      error,
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

  /** Set all values without calling onChange. */
  set(values) {
    this.values = { ...values };
    for (const { name } of this.ranges) this.fail(name, "");
    this.show();
  }

  usePreset(key) {
    const preset = this.presets.find((p) => p.key === key);
    if (!preset) return;
    this.set(preset.settings);
    this.onChange(this.values);
  }

  async useSuggestion(suggest) {
    this.suggest.disabled = true;
    try {
      const { settings, reasons } = await suggest();
      this.set(settings);
      this.onChange(this.values);
      this.explain(reasons);
    } catch (error) {
      this.explain([error.message]);
    }
    this.suggest.disabled = false;
  }

  explain(reasons) {
    this.reasons.hidden = reasons.length === 0;
    this.reasons.replaceChildren(...reasons.map((reason) => h("li", {}, reason)));
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
    const same = (settings) => this.ranges.every(({ name }) => settings[name] === this.values[name]);
    this.explain([]); // reasons are those of the suggestion that was taken
    const current = this.presets.find((p) => p.key === this.preset.input.value && same(p.settings));
    this.preset.input.value = (current ?? this.presets.find((p) => same(p.settings)))?.key ?? "custom";
  }
}
