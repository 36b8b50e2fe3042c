// The form of a new ablation: what is varied, what is the same in all runs, and what they take.
import { call, latestOnly } from "../shared/client.js";
import { h, newId, relist, select } from "../shared/dom.js";
import { FieldErrors } from "../shared/fields.js";
import { Kept } from "../shared/keep.js";
import { tell } from "../shared/messages.js";
import { PathField } from "../shared/path-field.js";
import { Place } from "../shared/place.js";
import { SettingsPanel } from "../shared/settings-panel.js";

const PLAN_AFTER_MS = 600;
const FIXED = "Fixed settings";
const ELSEWHERE = { seed: "The seeds have a field of their own." };

export class AblationForm {
  /** on: {typed(), started(name)}. */
  constructor(server, on) {
    Object.assign(this, { server, on });
    this.changes = {}; // of the recipe's settings, as texts
    this.errors = new FieldErrors();
    this.recipe = select("Recipe", [["camvid", "camvid"]], "camvid", () => this.chosen());
    this.data = this.text("", "a folder; not needed for samples");
    this.grid = this.text("phi0=0.5,0.6,0.7");
    this.seeds = this.text("0 1 2");
    this.name = this.text("phi");
    this.fixed = h("details", { class: "fixed", hidden: true }, h("summary", {}, h("span", { class: "title" }, FIXED)));
    this.needs = h("div", { class: "needs help", role: "status", dataset: { part: "plan" } });
    this.refusal = h("div", { class: "field-error", role: "alert", hidden: true });
    this.begin = h("button", { type: "submit", class: "primary" }, "Start all runs");
    this.planSoon = latestOnly(() => this.plan());
    this.recipe.field.append(this.errors.add("recipe", this.recipe.input));
    this.path = new PathField(server, this.data);
    const dataField = h("div", { class: "field" }, h("label", { for: this.data.id }, "Data set folder on this server"), this.path.element, this.errors.add("data", this.data));
    this.element = h(
      "form",
      {
        class: "inside ablation-form",
        novalidate: true,
        onsubmit: (event) => {
          event.preventDefault();
          this.start();
        },
        oninput: () => this.typed(),
        onchange: () => this.typed(),
      },
      this.recipe.field,
      dataField,
      this.labelled("Settings to vary", this.grid, "grid"),
      h("div", { class: "row-fields" }, this.labelled("Seeds", this.seeds, "seeds"), this.labelled("Name", this.name, "name")),
      this.fixed,
      this.needs,
      this.refusal,
      h("div", { class: "inline" }, this.begin),
      h("p", { class: "help" }, "Every combination becomes a run in Train's queue. Enter an existing name to continue that ablation."),
    );
  }

  text(value, placeholder) {
    return h("input", { id: newId("ablation"), type: "text", value, placeholder, autocomplete: "off", spellcheck: "false" });
  }

  labelled(title, input, field) {
    return h("div", { class: "field" }, h("label", { for: input.id }, title), input, this.errors.add(field, input));
  }

  /** The names of the recipes; all else is asked for when the form is opened. */
  setRecipes(names) {
    relist(this.recipe.input, names.map((name) => [name, name]));
    if (this.kept) return;
    const { data, grid, seeds, name } = this;
    this.kept = new Kept();
    for (const [part, input] of Object.entries({ recipe: this.recipe.input, data, grid, seeds, name })) this.kept.add(part, input);
  }

  /** Somebody looks at the form: get every setting, and say what the runs take. */
  async open() {
    this.settings ??= call(this.server, "ablation_lists", null).then((lists) => this.build(lists));
    try {
      await this.settings;
    } catch (error) {
      this.settings = null;
      return this.refuse(error.message);
    }
    this.typed();
  }

  build(lists) {
    this.lists = lists;
    const groups = [{ title: "Rule and backbone", settings: lists.head }, ...lists.groups];
    this.panel = new SettingsPanel({ groups, rules: lists.rules }, this.errors, {
      value: (name) => this.value(name),
      usual: (name) => this.usual(name),
      rules: () => this.varied().rule ?? [this.value("rule")],
      change: (name, value) => this.change(name, value),
      reset: (names) => {
        for (const name of names) delete this.changes[name];
        this.panel.fill();
        this.typed();
      },
      looked: () => this.on.typed(),
      elsewhere: (name) => ELSEWHERE[name] ?? (name in this.varied() ? `${name} is varied.` : ""),
    });
    this.where = new Place(lists, this.errors, () => this.typed());
    this.panel.beside(this.where.element, "where it runs slurm cluster machine partition account time gpus nodes");
    this.count = h("span", { class: "count" });
    this.fixed.firstChild.append(this.count);
    this.fixed.append(h("div", { class: "inside" }, this.panel.element, this.where.element));
    this.fixed.hidden = false;
    this.panel.fill();
  }

  // --- what is asked for

  /** The values of what is varied, by setting, as far as that can be read. */
  varied() {
    const words = this.grid.value.split(/\s+/).map((word) => word.split("=")).filter((parts) => parts.length === 2 && parts[0]);
    return Object.fromEntries(words.map(([name, values]) => [name, values.split(",")]));
  }

  usual(name) {
    const value = this.lists.recipes.find((one) => one.name === this.recipe.input.value)?.settings[name];
    return value === null || value === undefined ? "" : String(value);
  }

  value(name) {
    return this.changes[name] ?? this.usual(name);
  }

  change(name, value) {
    if (value === this.usual(name)) delete this.changes[name];
    else this.changes[name] = value;
    this.panel.show();
  }

  request() {
    const settings = Object.fromEntries(Object.entries(this.changes).filter(([name]) => !this.panel || this.panel.reads(name)));
    return { recipe: this.recipe.input.value, data: this.data.value.trim(), grid: this.grid.value, seeds: this.seeds.value, name: this.name.value.trim(), settings, ...this.where?.request() };
  }

  chosen() {
    this.panel?.fill();
    this.typed();
  }

  typed() {
    this.on.typed();
    if (this.panel) {
      this.panel.show();
      const changed = this.panel.changed.length;
      this.count.textContent = [changed ? `${changed} changed` : "", this.where.count.textContent].filter(Boolean).join(", ");
    }
    clearTimeout(this.planning);
    this.planning = setTimeout(() => this.planSoon(), PLAN_AFTER_MS);
  }

  // --- the server's word

  async plan() {
    if (!this.element.checkVisibility()) return;
    const asked = JSON.stringify(this.request());
    if (asked === this.planned) return;
    this.planned = asked;
    try {
      const { sentences, refusal } = await call(this.server, "plan_ablation", this.request());
      if (asked !== JSON.stringify(this.request())) return; // another answer comes
      this.errors.show({});
      this.needs.replaceChildren(...sentences.map((sentence) => h("p", {}, sentence)));
      this.refuse(refusal);
    } catch (error) {
      if (asked !== JSON.stringify(this.request())) return;
      this.needs.replaceChildren();
      this.wrong(error);
    }
  }

  /** Say what is wrong at its field, or above the button where it has none. */
  wrong(error) {
    const field = error.field in this.varied() ? "grid" : error.field;
    const known = this.errors.has(field);
    this.refuse("");
    const rest = this.errors.show(known ? { [field]: error.message } : {}, known ? { [field]: error.offers } : {});
    if (!known || rest.length) this.refuse(error.message);
    if (known && this.panel?.rows.has(field)) this.fixed.open = true;
  }

  refuse(said) {
    tell(this.refusal, said);
  }

  async start() {
    this.begin.disabled = true;
    this.errors.sent = true;
    try {
      const { name } = await call(this.server, "start_ablation", this.request());
      this.errors.reset();
      this.errors.show({});
      this.refuse("");
      this.path.remember();
      await this.on.started(name);
    } catch (error) {
      this.wrong(error);
    }
    this.begin.disabled = false;
  }

  // --- for a link

  texts() {
    return { ...this.kept?.texts(), ...this.changes, ...this.panel?.texts(), ...this.where?.texts() };
  }

  /** Fill the form in again; returns the names that make no sense in it. */
  async restore(texts) {
    const own = Object.fromEntries(Object.entries(texts).filter(([name]) => this.kept.fields.has(name)));
    const others = Object.entries(texts).filter(([name]) => !this.kept.fields.has(name));
    const odd = this.kept.restore(own);
    if (!others.length) return odd;
    await this.open();
    if (!this.panel) return [...odd, ...others.map(([name]) => name)];
    const { find, only, ...settings } = this.where.restore(Object.fromEntries(others));
    for (const [name, value] of Object.entries(settings)) {
      if (this.panel.rows.has(name)) this.changes[name] = value;
      else odd.push(name);
    }
    this.panel.fill();
    this.panel.openChanged();
    odd.push(...this.panel.restore({ find, only }));
    this.fixed.open = true;
    this.typed();
    return odd;
  }
}
