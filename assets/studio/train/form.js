// The order for a new run: recipe, data, rule, backbone, every setting; checked as it is typed.
import { call, latestOnly } from "../shared/client.js";
import { card, h, newId, select } from "../shared/dom.js";
import { FieldErrors } from "../shared/fields.js";
import { tell } from "../shared/messages.js";
import { PathField } from "../shared/path-field.js";
import { Place } from "../shared/place.js";
import { SettingsPanel } from "../shared/settings-panel.js";
import { noZone } from "../shared/zone.js";
import { StartBar } from "./startbar.js";
import { Suggest } from "./suggest.js";

const CHECK_AFTER_MS = 250;
const INSPECT_AFTER_MS = 900;
// What a suggestion holds for; with another it says nothing any more.
const SUGGESTED_FOR = new Set(["phi0", "psi0", "sigma_pos", "sigma_amb", "steps", "rule", "backbone", "dataset", "train_split", "size", "crops", "crop_ratio", "batch"]);
// What is called otherwise in the form.
const LABELS = { data: "data set", on: "where it runs" };

export class OrderForm {
  /** lists: the server's; hooks: {started(run), explore() → settings or null, typed()}. */
  constructor(server, lists, hooks) {
    this.server = server;
    this.lists = lists;
    this.hooks = hooks;
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
    this.data = this.text("data", "Data set folder on this server", (input) => (this.place = new PathField(this.server, input, { about: true })).element);
    this.data.input.addEventListener("input", () => this.suggest.explain([]));
    this.name = this.text("name", "Run name");
    this.panel = new SettingsPanel(lists, this.errors, {
      value: (name) => this.value(name),
      usual: (name) => text(this.current.settings[name]),
      rules: () => [this.value("rule")],
      change: (name, value) => this.change(name, value),
      reset: (names) => this.reset(names),
      looked: () => this.hooks.typed(),
    });
    const rule = select("Rule", lists.rules.map((r) => [r.key, r.title]), "", (value) => this.change("rule", value));
    rule.field.append(this.errors.add("rule", rule.input));
    rule.input.dataset.setting = "rule";
    this.rule = rule.input;
    this.panel.adopt("rule", rule.field, rule.input);
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
    this.backbone = backbone.input;
    this.panel.adopt("backbone", backbone.field, backbone.input);
    const useBackbone = (value) => {
      this.change("backbone", value);
      this.show();
    };
    backbone.field.append(this.backboneFile.element, this.errors.add("backbone", backbone.input, { value: () => this.value("backbone"), use: useBackbone }));
    this.where = new Place(lists, this.errors, () => this.changed());
    this.panel.beside(this.where.element, "where it runs slurm cluster machine partition account time gpus nodes");
    this.takeSettings = h("button", { type: "button", title: "Φ⁰, Ψ⁰, σ and T as set in Explore", onclick: () => this.takeFromExplore() }, "Take settings from Explore");
    this.suggest = new Suggest(this.server, { request: () => this.request(), take: (settings) => this.take(settings), refused: (error) => this.refused(error) });
    this.findings = h("ul", { class: "findings", "aria-label": "Findings about the data" });
    this.needs = h("div", { class: "needs", role: "status", dataset: { part: "needs" } });
    this.refusal = h("div", { class: "field-error refusal", role: "alert", hidden: true });
    this.command = h("textarea", { readonly: true, rows: "3", "aria-label": "Command line", spellcheck: "false", dataset: { part: "command" } });
    this.commandSaid = h("p", { class: "help", role: "status", dataset: { part: "command-said" } });
    this.copied = h("p", { class: "help", role: "status" });
    this.bar = new StartBar((field) => this.goTo(field));
    this.startButton = this.bar.button;
    const { card: element, body } = card("New run", { class: "card order" });
    body.append(
      h(
        "form",
        { class: "card-body", style: "padding: 0", novalidate: true, onsubmit: (event) => this.start(event) },
        this.recipe.field,
        this.title,
        h("details", {}, h("summary", {}, h("span", { class: "title" }, "About this recipe")), this.recipeText),
        this.data.field,
        this.name.field,
        rule.field,
        backbone.field,
        this.suggest.element,
        this.takeSettings,
        this.panel.element,
        this.where.element,
        this.findings,
        this.needs,
        this.refusal,
        h("h3", {}, "Command line"),
        this.command,
        this.commandSaid,
        h("div", { class: "buttons" }, h("button", { type: "button", onclick: () => this.copy() }, "Copy"), this.copied),
        this.bar.element,
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
    return { input, field: h("div", { class: "field" }, h("label", { for: id }, label), framed(input), this.errors.add(name, input)) };
  }

  // --- changes

  chooseRecipe(name, changes = {}) {
    this.current = this.lists.recipes.find((recipe) => recipe.name === name);
    this.recipe.input.value = name;
    this.title.textContent = this.current.title;
    this.recipeText.firstChild.textContent = this.current.text;
    this.changes = { ...changes };
    this.panel.before = null;
    this.suggest.explain([]);
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
    this.put(name, value);
    if (name === "rule" || name === "dataset") this.show();
    else this.panel.show();
    this.changed();
  }

  put(name, value) {
    if (SUGGESTED_FOR.has(name)) this.suggest.explain([]);
    if (value === text(this.current.settings[name])) delete this.changes[name];
    else this.changes[name] = value;
  }

  /** Several settings at once, by name. */
  take(settings) {
    for (const [name, value] of Object.entries(settings)) this.put(name, text(value));
    this.show();
    this.changed();
    this.panel.openChanged();
  }

  /** Back to the recipe's values. */
  reset(names) {
    for (const name of names) delete this.changes[name];
    this.show();
    this.changed();
  }

  /** Make every field say what it stands at. */
  show() {
    this.rule.value = this.value("rule");
    const backbone = this.value("backbone");
    const known = this.lists.backbones.some((b) => b.name === backbone);
    this.backbone.value = known ? backbone : "";
    this.backboneFile.element.hidden = known;
    if (!known) this.backboneText.value = backbone;
    this.data.field.hidden = this.value("dataset") === this.lists.samples;
    this.suggest.element.hidden = !this.panel.reads("phi0");
    this.takeSettings.hidden = !this.lists.propagation.some((name) => this.panel.reads(name));
    this.panel.fill();
  }

  request() {
    const samples = this.value("dataset") === this.lists.samples;
    // What the rule does not read stays typed, and is not asked for.
    const settings = Object.fromEntries(Object.entries(this.changes).filter(([name]) => this.panel.reads(name)));
    return { recipe: this.current.name, name: this.name.input.value, data: samples ? "" : this.data.input.value, settings, ...this.where.request() };
  }

  /** What is half filled in, as texts by name: a recipe, data, a name and changed settings. */
  texts() {
    const { recipe, data, name } = this;
    const usual = this.lists.recipes[0].name;
    return { recipe: recipe.input.value === usual ? "" : recipe.input.value, data: data.input.value, name: this.touchedName ? name.input.value : "", ...this.panel.texts(), ...this.changes, ...this.where.texts() };
  }

  /** Fill the form in again; returns the names that make no sense in it. */
  restore({ recipe, data, name, find, only, ...others }) {
    const settings = this.where.restore(others);
    const isSetting = (one) => this.panel.rows.has(one);
    const odd = Object.keys(settings).filter((one) => !isSetting(one));
    const known = this.lists.recipes.some((one) => one.name === recipe);
    if (recipe && !known) odd.push("recipe");
    if (data) {
      this.data.input.value = data;
      this.place.lookLater();
    }
    this.chooseRecipe(known ? recipe : this.lists.recipes[0].name, Object.fromEntries(Object.entries(settings).filter(([one]) => isSetting(one))));
    if (name) {
      this.touchedName = true;
      this.name.input.value = name;
    }
    this.panel.openChanged();
    odd.push(...this.panel.restore({ find, only }));
    this.changed();
    return odd;
  }

  changed() {
    this.hooks.typed();
    this.panel.tell({ psi0: noZone(this.value("phi0"), this.value("psi0")) });
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
      this.command.value = reply.command;
      this.commandSaid.textContent = reply.command_said;
    } catch (error) {
      this.bar.say(error.message);
    }
  }

  showErrors(errors, offers) {
    this.wrong = { errors, offers };
    this.refuse(this.errors.show(errors, offers).join(" "));
  }

  /** Say what belongs to no field, and below the form how many things are wrong. */
  refuse(said, label = "see above") {
    tell(this.refusal, said || this.lists.closed);
    const fields = this.errors.ordered(Object.keys(this.wrong?.errors ?? {}));
    this.bar.show(said && !fields.includes("") ? [...fields, ""] : fields, { ...LABELS, "": label });
  }

  /** What only a click has found, at its field where it has one. */
  refused(error) {
    if (this.errors.refuse(error)) return;
    this.refuse(error.message);
    this.goTo("");
  }

  /** Look at what is wrong with a field. */
  goTo(field) {
    this.errors.sent = true;
    if (this.wrong) this.errors.show(this.wrong.errors, this.wrong.offers);
    if (!this.errors.has(field)) return this.refusal.scrollIntoView({ block: "center" });
    if (this.panel.filtered) this.panel.showAll();
    this.errors.focus(field);
  }

  async inspect() {
    const asked = JSON.stringify(this.request());
    this.needs.replaceChildren(h("p", {}, "Checking the data and estimating what the run needs…"));
    this.bar.headline.textContent = "Checking the data…";
    try {
      const reply = await call(this.server, "inspect", this.request());
      if (asked !== JSON.stringify(this.request())) return;
      this.looked = { asked, errors: reply.errors };
      this.showErrors(reply.errors, reply.offers);
      this.showFindings(reply.findings, Boolean(reply.errors.data));
      const sentences = reply.estimate?.sentences ?? [];
      this.needs.replaceChildren(...sentences.map((sentence) => h("p", {}, sentence)));
      this.bar.headline.textContent = reply.estimate?.headline ?? "";
      if (reply.estimate?.refusal) this.refuse(reply.estimate.refusal, "memory or disk");
    } catch (error) {
      this.needs.replaceChildren(h("p", {}, error.message));
      this.bar.headline.textContent = "";
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
    this.bar.say("Starting…");
    this.errors.sent = true;
    try {
      const { run } = await call(this.server, "start", this.request());
      this.startedName = run.name;
      this.sayStarted(run);
      this.touchedName = false;
      this.errors.reset();
      this.place.remember();
      this.hooks.started(run);
    } catch (error) {
      this.bar.say("");
      const field = this.errors.has(error.field) ? error.field : "";
      // All that is wrong with the form, and what only the start has found.
      const { errors = {}, offers = {} } = await call(this.server, "check", this.request()).catch(() => ({}));
      this.showErrors({ [field]: error.message, ...errors }, { [field]: error.offers, ...offers });
      this.goTo(this.bar.first);
    } finally {
      this.startButton.disabled = Boolean(this.lists.closed);
    }
  }

  /** What became of the run that was started, as long as that is the last thing said. */
  sayStarted(run) {
    const words = { queued: `${run.name} is queued. ${run.text}`.trim(), running: `${run.name} has started.` };
    this.startedSaid = words[run.state] ?? "";
    this.bar.say(this.startedSaid);
  }

  /** Runs as they are now: what was said of the one that was started is kept true. */
  follow(runs) {
    const run = runs.find(({ name }) => name === this.startedName);
    if (this.startedSaid && this.bar.said.textContent === this.startedSaid) this.sayStarted(run ?? {});
  }

  takeFromExplore() {
    const settings = this.hooks.explore();
    if (!settings) return this.bar.say("Explore has not been opened yet. Open it once, then try again.");
    this.take(Object.fromEntries(this.lists.propagation.map((name) => [name, settings[name]])));
    this.panel.groups[0].element.open = true;
    this.bar.say("Copied from Explore.");
  }

  /** Fill the form with a run's own order, under a new name. */
  fill({ recipe, data, settings, free_name: name, on, slurm }) {
    if (!this.lists.recipes.some((known) => known.name === recipe)) {
      this.bar.say(`The recipe ${recipe} no longer exists.`);
      return;
    }
    this.named = true;
    this.touchedName = true;
    this.name.input.value = name;
    this.data.input.value = data ?? "";
    this.place.lookLater();
    this.chooseRecipe(recipe, Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, text(value)])));
    this.named = false;
    this.where.fill({ on, slurm });
    this.panel.showAll();
    this.panel.openChanged();
    this.element.scrollIntoView({ block: "start", behavior: "smooth" });
    this.bar.say("Change what should differ, then press Start.");
  }

  /** Come here from elsewhere on the page. */
  arrive() {
    this.recipe.input.focus({ preventScroll: true });
    this.element.scrollIntoView({ block: "start" });
  }

  async copy() {
    this.command.select();
    try {
      await navigator.clipboard.writeText(this.command.value);
    } catch {
      document.execCommand("copy"); // pages that are not on https or localhost
    }
    this.copied.textContent = "Copied.";
  }
}

/** A setting as a command line writes it. */
export const text = (value) => (value === null || value === undefined ? "" : String(value));
