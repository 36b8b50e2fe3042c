// What stands beside PPAP: its choice, a rule or other features; a rule's settings and numbers.
import { count, fixed, h, newId, percent, select } from "../shared/dom.js";

export class Compare {
  /** rules come from the server; onChange() asks for new sets. */
  constructor(rules, onChange) {
    this.rules = rules;
    this.onChange = onChange;
    this.values = Object.fromEntries(
      rules.map((rule) => [rule.key, Object.fromEntries(rule.parameters.map((p) => [p.name, p.default]))]),
    );
    this.picker = select(
      "Compare with",
      [
        ["none", "Nothing"],
        { group: "Another rule", options: rules.map((rule) => [rule.key, rule.title]) },
        { group: "Features", options: [["same", "Same, other settings"], ["features", "Other features…"]] },
      ],
      "none",
      () => {
        this.showParameters();
        onChange();
      },
    );
    this.picker.field.classList.add("row");
    this.parameters = h("div", { class: "rival-settings" });
    this.explanation = h("p", { class: "help" });
    this.error = h("p", { class: "field-error", role: "alert", hidden: true });
    this.numbers = h("p", { class: "rule-numbers", dataset: { part: "rival-numbers" } });
    this.ownNumbers = h("p", { class: "rule-numbers", hidden: true });
    this.element = h("div", { class: "compare" }, this.picker.field, this.parameters);
  }

  get rule() {
    return this.rules.find((rule) => rule.key === this.picker.input.value) ?? null;
  }

  /** "same" or "features" where features stand beside, not a rule; null otherwise. */
  get features() {
    const { value } = this.picker.input;
    return value === "same" || value === "features" ? value : null;
  }

  /** Say what stands beside, without asking for it. */
  show(value) {
    this.picker.input.value = value;
    this.showParameters();
  }

  /** What the server needs to know of a rule, or null. */
  get request() {
    return this.rule && { rule: this.rule.key, parameters: this.values[this.rule.key] };
  }

  /** Choose a rule with its parameters; null: none. */
  set(rule, parameters = {}) {
    if (rule !== null && !this.rules.some((r) => r.key === rule)) return;
    this.picker.input.value = rule ?? "none";
    for (const { name } of this.rule?.parameters ?? []) {
      if (Number.isFinite(Number(parameters[name]))) this.values[rule][name] = Number(parameters[name]);
    }
    this.showParameters();
  }

  /** Lower what a smaller batch cannot give, so that every rule can be chosen as it is offered. */
  fitTo(patches) {
    const most = { k: patches - 1, pool_size: patches, clusters: patches };
    for (const values of Object.values(this.values)) {
      for (const [name, limit] of Object.entries(most)) {
        if (values[name] > limit) values[name] = Math.max(1, limit);
      }
    }
    this.showParameters();
  }

  showParameters() {
    const rule = this.rule;
    const meanings = (rule?.parameters ?? []).map((parameter) => `${parameter.title}: ${parameter.text}`);
    this.explanation.textContent = [rule?.text ?? "", ...meanings].join(" ");
    this.say("");
    this.parameters.replaceChildren(
      ...(rule?.parameters ?? []).map((parameter) => {
        const id = newId("rival");
        const input = h("input", {
          id,
          type: "number",
          min: String(parameter.least),
          max: String(parameter.most),
          step: String(parameter.step),
          value: String(this.values[rule.key][parameter.name]),
          dataset: { rival: parameter.name },
          oninput: () => {
            if (input.value === "") return;
            this.values[rule.key][parameter.name] = Number(input.value);
            this.onChange();
          },
        });
        return h("div", { class: "field row" }, h("label", { for: id }, parameter.title), input);
      }),
    );
  }

  say(text) {
    this.error.textContent = text;
    this.error.hidden = !text;
  }

  /** The same line of numbers for PPAP and for the rival. */
  setViews(own, rival, step, hasLabels) {
    this.ownNumbers.textContent = line(own, step, hasLabels);
    this.numbers.textContent = line(rival, step, hasLabels);
  }
}

function line(view, step, hasLabels) {
  const numbers = view.steps[Math.min(step, view.steps.length - 1)];
  const parts = [`|P| ${count(numbers.positive)}`, `|A| ${count(numbers.ambiguous)}`, `|N| ${count(numbers.negative)}`, `${view.anchor === undefined ? "lowest similarity" : "Φ"} ${fixed(numbers.phi, 2)}`];
  if (hasLabels) {
    parts.push(`precision ${percent(numbers.precision)}`, `recall ${percent(numbers.recall)}`, `wrong in N ${percent(numbers.false_negative)}`);
  }
  return parts.join("   ");
}
