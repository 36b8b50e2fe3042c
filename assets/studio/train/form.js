// The order for a new run: recipe, data, rule, backbone, every setting; checked as it is typed.
import { call, latestOnly } from "../shared/client.js";
import { card, h, newId, select } from "../shared/dom.js";
import { FieldErrors } from "../shared/fields.js";
import { tell } from "../shared/messages.js";
import { PathField } from "../shared/path-field.js";
import { Place } from "./place.js";

const CHECK_AFTER_MS = 250;
const INSPECT_AFTER_MS = 900;

export class OrderForm {
  /** lists: the server's; hooks: {started(run), explore() → settings or null, typed()}. */
  constructor(server, lists, hooks) {
    this.server = server;
    this.lists = lists;
    this.hooks = hooks;
    this.fields = {}; // by setting: {input, row}
    this.errors = new FieldErrors();
    this.changes = {}; // texts that differ from the recipe's
    this.ask = latestOnly(() => this.check());
    this.inspectSoon = latestOnly(() => this.inspect());
    this.build();
    this.chooseRecipe(lists.recipes[0].name);
  }

  build() {
    const { lists } = this;
    this.recipe = select("Recipe", lists.recipes.map((r) => [r.name, r.name]), lists.recipes[0].name, (name) => this.chooseRecipe(name));
    this.recipe.input.dataset.part = "recipe";
    this.title = h("p", { class: "help" });
    this.recipeText = h("div", { class: "inside" }, h("p", { class: "recipe-text" }));
    this.data = this.text("data", "Data set's folder on this server", (input) => (this.place = new PathField(this.server, input)).element);
    this.name = this.text("name", "Name of the run");
    const head = (name, label, options) => {
      const made = select(label, options, "", (value) => this.change(name, value));
      this.fields[name] = { input: made.input, row: made.field };
      made.field.append(this.errors.add(name, made.input));
      made.input.dataset.setting = name;
      return made.field;
    };
    const rule = head("rule", "Rule", lists.rules.map((r) => [r.key, r.title]));
    const known = lists.backbones.map((b) => [b.name, b.title]);
    this.backboneText = h("input", { type: "text", "aria-label": "Backbone: any timm ViT, or a checkpoint file", autocomplete: "off", spellcheck: "false", placeholder: "a timm ViT, a file, or NAME@FILE", oninput: () => this.change("backbone", this.backboneText.value) });
    this.backboneFile = new PathField(this.server, this.backboneText, { want: "backbone" });
    this.backboneFile.element.hidden = true;
    const backbone = select("Backbone", [...known, ["", "Another, or a file…"]], "", (value) => {
      this.backboneFile.element.hidden = value !== "";
      if (value) this.change("backbone", value);
      else this.backboneText.focus();
    });
    backbone.input.dataset.setting = "backbone";
    this.fields.backbone = { input: backbone.input, row: backbone.field };
    const useBackbone = (value) => {
      this.change("backbone", value);
      this.show();
    };
    backbone.field.append(this.backboneFile.element, this.errors.add("backbone", backbone.input, { value: () => this.value("backbone"), use: useBackbone }));
    this.groups = lists.groups.map((group) => this.group(group));
    this.where = new Place(lists, this.errors, () => this.changed());
    this.takeSettings = h("button", { type: "button", title: "Φ⁰, Ψ⁰, σ and T as they are in Explore", onclick: () => this.takeFromExplore() }, "Take settings from Explore");
    this.findings = h("ul", { class: "findings", "aria-label": "Findings about the data" });
    this.needs = h("div", { class: "needs", role: "status", dataset: { part: "needs" } });
    this.refusal = h("div", { class: "field-error refusal", role: "alert", hidden: true });
    this.command = h("textarea", { readonly: true, rows: "3", "aria-label": "The same on the command line", spellcheck: "false", dataset: { part: "command" } });
    this.said = h("p", { class: "help", role: "status" });
    this.startButton = h("button", { type: "submit", class: "primary" }, "Start");
    const { card: element, body } = card("New run", { class: "card order" });
    body.append(
      h(
        "form",
        { class: "card-body", style: "padding: 0", novalidate: true, onsubmit: (event) => this.start(event) },
        this.recipe.field,
        this.title,
        h("details", {}, h("summary", {}, h("span", { class: "title" }, "What this recipe is")), this.recipeText),
        this.data.field,
        this.name.field,
        rule,
        backbone.field,
        this.takeSettings,
        this.groups.map((group) => group.element),
        this.where.element,
        this.findings,
        this.needs,
        this.refusal,
        h("div", { class: "buttons" }, this.startButton, this.said),
        h("h3", {}, "The same on the command line"),
        this.command,
        h("div", { class: "buttons" }, h("button", { type: "button", onclick: () => this.copy() }, "Copy")),
      ),
    );
    if (lists.closed) {
      this.startButton.disabled = true;
      this.refuse("");
    }
    this.element = element;
  }

  /** `framed(input)`: what stands there instead of the bare input. */
  text(name, label, framed = (input) => input) {
    const id = newId(name);
    const input = h("input", { id, type: "text", autocomplete: "off", spellcheck: "false", dataset: { part: name }, oninput: () => this.changed() });
    this.fields[name] = { input };
    return { input, field: h("div", { class: "field" }, h("label", { for: id }, label), framed(input), this.errors.add(name, input)) };
  }

  group({ title, settings }) {
    const count = h("span", { class: "count" });
    const rows = settings.map((setting) => this.setting(setting));
    const element = h("details", { dataset: { group: title } }, h("summary", {}, h("span", { class: "title" }, title), count), h("div", { class: "inside" }, rows));
    return { element, count, settings };
  }

  setting({ name, kind, meaning, range, choices }) {
    const id = newId(name);
    const choose = kind === "bool" ? ["true", "false"] : choices;
    const attributes = { id, title: range, dataset: { setting: name }, "aria-describedby": `${id}-help` };
    const input = choose.length
      ? h("select", { ...attributes, onchange: () => this.change(name, input.value) }, choose.map((value) => h("option", { value }, value || "(found out)")))
      : h("input", { ...attributes, type: "text", autocomplete: "off", spellcheck: "false", oninput: () => this.change(name, input.value) });
    const row = h("div", { class: "set" }, h("label", { for: id }, name), input, h("p", { id: `${id}-help`, class: "help" }, meaning), this.errors.add(name, input));
    this.fields[name] = { input, row };
    return row;
  }

  // --- changes

  chooseRecipe(name, changes = {}) {
    this.current = this.lists.recipes.find((recipe) => recipe.name === name);
    this.recipe.input.value = name;
    this.title.textContent = this.current.title;
    this.recipeText.firstChild.textContent = this.current.text;
    this.changes = { ...changes };
    if (!this.named) this.suggestName();
    this.show();
    this.changed();
  }

  suggestName() {
    const taken = new Set(this.taken ?? []);
    const stem = this.current.name;
    let name = stem;
    for (let n = 2; taken.has(name); n++) name = `${stem}-${n}`;
    this.name.input.value = name;
  }

  /** Which names are taken: the suggestion keeps clear of them, until somebody types one. */
  setTaken(names) {
    const before = this.name.input.value;
    this.taken = names;
    if (this.startedName && names.includes(before) && before === this.startedName) {
      this.suggestName();
      this.changed();
    } else if (names.includes(before) && !this.touchedName) {
      this.suggestName();
      this.changed();
    }
  }

  value(name) {
    return this.changes[name] ?? text(this.current.settings[name]);
  }

  change(name, value) {
    this.errors.touch(name);
    if (value === text(this.current.settings[name])) delete this.changes[name];
    else this.changes[name] = value;
    if (name === "rule" || name === "dataset") this.show();
    else this.mark();
    this.changed();
  }

  /** Make every field say what it stands at. */
  show() {
    for (const [name, { input }] of Object.entries(this.fields)) {
      if (name === "data" || name === "name") continue;
      const value = this.value(name);
      if (name === "backbone") {
        const known = this.lists.backbones.some((b) => b.name === value);
        input.value = known ? value : "";
        this.backboneFile.element.hidden = known;
        if (!known) this.backboneText.value = value;
      } else input.value = value;
    }
    const samples = this.value("dataset") === this.lists.samples;
    this.data.field.hidden = samples;
    const rule = this.value("rule");
    for (const { settings, element } of this.groups) {
      let shown = 0;
      for (const { name, rules } of settings) {
        const hidden = rules !== null && !rules.includes(rule);
        this.fields[name].row.hidden = hidden;
        shown += hidden ? 0 : 1;
      }
      element.hidden = shown === 0;
    }
    this.mark();
  }

  mark() {
    for (const { settings, count } of this.groups) {
      const changed = settings.filter(({ name }) => name in this.changes);
      for (const { name } of settings) this.fields[name].row.classList.toggle("changed", name in this.changes);
      count.textContent = changed.length ? `${changed.length} changed` : "";
    }
  }

  request() {
    const samples = this.value("dataset") === this.lists.samples;
    return { recipe: this.current.name, name: this.name.input.value, data: samples ? "" : this.data.input.value, settings: this.changes, ...this.where.request() };
  }

  /** What is half filled in, as texts by name: a recipe, data, a name and changed settings. */
  texts() {
    const { recipe, data, name } = this;
    const usual = this.lists.recipes[0].name;
    return { recipe: recipe.input.value === usual ? "" : recipe.input.value, data: data.input.value, name: this.touchedName ? name.input.value : "", ...this.changes, ...this.where.texts() };
  }

  /** Fill the form in again; returns the names that make no sense in it. */
  restore({ recipe, data, name, ...others }) {
    const settings = this.where.restore(others);
    const odd = Object.keys(settings).filter((one) => !(one in this.fields));
    const known = this.lists.recipes.some((one) => one.name === recipe);
    if (recipe && !known) odd.push("recipe");
    if (data) this.data.input.value = data;
    this.chooseRecipe(known ? recipe : this.lists.recipes[0].name, Object.fromEntries(Object.entries(settings).filter(([one]) => one in this.fields)));
    if (name) {
      this.touchedName = true;
      this.name.input.value = name;
    }
    for (const { element, count } of this.groups) element.open ||= Boolean(count.textContent);
    this.changed();
    return odd;
  }

  changed() {
    this.hooks.typed();
    if (document.activeElement === this.name.input) this.touchedName = true;
    clearTimeout(this.checking);
    clearTimeout(this.inspecting);
    this.checking = setTimeout(() => this.ask(), CHECK_AFTER_MS);
    this.inspecting = setTimeout(() => this.inspectSoon(), INSPECT_AFTER_MS);
  }

  // --- the server's word

  async check() {
    const asked = JSON.stringify(this.request());
    try {
      const reply = await call(this.server, "check", this.request());
      if (asked !== JSON.stringify(this.request())) return; // another answer comes
      // What a look at the data has found is not known to a check, which only reads the form.
      const looked = this.looked?.asked === asked ? this.looked.errors : {};
      this.showErrors({ ...reply.errors, ...looked }, reply.offers);
      if (reply.command) this.command.value = reply.command;
      this.valid = Object.keys(reply.errors).length === 0;
    } catch (error) {
      this.said.textContent = error.message;
    }
  }

  showErrors(errors, offers) {
    this.refuse(this.errors.show(errors, offers).join(" "));
  }

  refuse(said) {
    tell(this.refusal, said || this.lists.closed);
  }

  async inspect() {
    const asked = JSON.stringify(this.request());
    this.needs.replaceChildren(h("p", {}, "Looking at the data and what it takes…"));
    try {
      const reply = await call(this.server, "inspect", this.request());
      if (asked !== JSON.stringify(this.request())) return;
      this.looked = { asked, errors: reply.errors };
      this.showErrors(reply.errors, reply.offers);
      this.showFindings(reply.findings, Boolean(reply.errors.data));
      const sentences = reply.estimate?.sentences ?? [];
      this.needs.replaceChildren(...sentences.map((sentence) => h("p", {}, sentence)));
      if (reply.estimate?.refusal) this.refuse(reply.estimate.refusal);
    } catch (error) {
      this.needs.replaceChildren(h("p", {}, error.message));
    }
  }

  /** What was found in the data; the first error stands at the field of the data already. */
  showFindings(findings, said) {
    const first = said ? findings.findIndex(({ severity }) => severity === "error") : -1;
    this.findings.replaceChildren(...findings.filter((_, i) => i !== first).map(({ severity, file, text: what }) => h("li", { class: severity }, severity === "note" ? what : `${file} ${what}`)));
  }

  async start(event) {
    event.preventDefault();
    this.startButton.disabled = true;
    this.said.textContent = "Starting…";
    this.errors.sent = true;
    try {
      const { run } = await call(this.server, "start", this.request());
      this.said.textContent = run.state === "queued" ? `${run.name}: ${run.text || "it waits for the device."}` : `${run.name} has begun.`;
      this.startedName = run.name;
      this.touchedName = false;
      this.errors.reset();
      this.place.remember();
      this.hooks.started(run);
    } catch (error) {
      this.said.textContent = "";
      if (!this.errors.has(error.field)) this.refuse(error.message);
      else {
        // All that is wrong with the form, and what only the start has found.
        const { errors = {}, offers = {} } = await call(this.server, "check", this.request()).catch(() => ({}));
        this.showErrors({ [error.field]: error.message, ...errors }, { [error.field]: error.offers, ...offers });
      }
    } finally {
      this.startButton.disabled = Boolean(this.lists.closed);
    }
  }

  takeFromExplore() {
    const settings = this.hooks.explore();
    if (!settings) {
      this.said.textContent = "Explore has no settings yet: open it first.";
      return;
    }
    for (const name of this.lists.propagation) {
      if (text(settings[name]) === text(this.current.settings[name])) delete this.changes[name];
      else this.changes[name] = text(settings[name]);
    }
    this.show();
    this.changed();
    this.groups[0].element.open = true;
    this.said.textContent = "Taken from Explore.";
  }

  /** Fill the form with a run's own order, under a new name. */
  fill({ recipe, data, settings, free_name: name, on, slurm }) {
    if (!this.lists.recipes.some((known) => known.name === recipe)) {
      this.said.textContent = `There is no recipe ${recipe} any more.`;
      return;
    }
    this.named = true;
    this.touchedName = true;
    this.name.input.value = name;
    this.data.input.value = data ?? "";
    this.chooseRecipe(recipe, Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, text(value)])));
    this.named = false;
    this.where.fill({ on, slurm });
    for (const { element, count } of this.groups) element.open = element.open || Boolean(count.textContent);
    this.element.scrollIntoView({ block: "start", behavior: "smooth" });
    this.said.textContent = "Change what shall differ, then start.";
  }

  async copy() {
    this.command.select();
    try {
      await navigator.clipboard.writeText(this.command.value);
    } catch {
      document.execCommand("copy"); // pages that are not on https or localhost
    }
    this.said.textContent = "Copied the command.";
  }
}

/** A setting as a command line writes it. */
export const text = (value) => (value === null || value === undefined ? "" : String(value));
