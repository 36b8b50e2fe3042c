// The settings of a run in groups: searched, and each with a way back to the recipe's value.
import { h, newId } from "./dom.js";

const EMPTY = "(empty)";

export class SettingsPanel {
  /**
   * lists: the server's; errors: of the form's fields.
   * hooks: {value(name), usual(name), rules() → those that are used, change(name, text), reset(names),
   * looked()}, and if need be elsewhere(name) → where else a setting is given, in words.
   */
  constructor({ groups, rules }, errors, hooks) {
    this.hooks = hooks;
    this.errors = errors;
    this.rules = rules;
    this.rows = new Map(); // by setting
    this.kept = new Set(); // what stays in sight while only changed settings are shown
    this.wasOpen = null; // of the groups, before a search opened some
    this.search = h("input", { type: "search", placeholder: "Search the settings", "aria-label": "Search the settings", autocomplete: "off", spellcheck: "false", dataset: { part: "find" }, oninput: () => this.looked(), onkeydown: (event) => event.key === "Enter" && event.preventDefault() }); // Enter would send the form
    this.only = h("button", { type: "button", "aria-pressed": "false", title: "Show only what differs from the recipe", dataset: { part: "only" }, onclick: () => this.showOnly(this.only.getAttribute("aria-pressed") !== "true") }, "Changed");
    this.all = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => this.resetAll() }, "Reset all");
    this.found = h("p", { class: "help", role: "status" });
    this.groups = groups.map((group) => this.group(group));
    this.others = []; // elements that are no settings, and the words that find them
    this.tools = h("div", { class: "find" }, this.only, this.all, this.found);
    this.element = h("div", { class: "settings-panel" }, this.search, this.tools, this.groups.map(({ element }) => element));
  }

  group({ title, settings }) {
    const count = h("span", { class: "count" });
    const rows = settings.map((setting) => this.row(setting, title));
    const element = h("details", { dataset: { group: title } }, h("summary", {}, h("span", { class: "title" }, title), count), h("div", { class: "inside" }, rows));
    return { element, count, settings };
  }

  row(setting, group) {
    const { name, kind, meaning, range, choices } = setting;
    const id = newId(name);
    const choose = kind === "bool" ? ["true", "false"] : choices;
    const attributes = { id, title: range, dataset: { setting: name }, "aria-describedby": `${id}-help` };
    const input = choose.length
      ? h("select", { ...attributes, onchange: () => this.hooks.change(name, input.value) }, choose.map((value) => h("option", { value }, value || "(detect)")))
      : h("input", { ...attributes, type: "text", autocomplete: "off", spellcheck: "false", oninput: () => this.hooks.change(name, input.value) });
    const back = this.back(name, input);
    const note = h("p", { class: "help note", role: "status", hidden: true, dataset: { note: name } });
    const row = h("div", { class: "set" }, h("div", { class: "key" }, h("label", { for: id }, name), back), input, h("p", { id: `${id}-help`, class: "help" }, meaning), this.errors.add(name, input), note);
    this.rows.set(name, { setting, group, input, back, row, note, words: `${name} ${name.replaceAll("_", " ")} ${group} ${meaning}`.toLowerCase() });
    return row;
  }

  /** The button that takes a setting back to the recipe's value. */
  back(name, input) {
    return h("button", { type: "button", class: "quiet back", hidden: true, dataset: { back: name }, onclick: () => {
      this.hooks.reset([name]);
      input.focus();
    } }, "↺");
  }

  /** A field at the head of the form, which has a way back, too. */
  adopt(name, field, input) {
    const back = this.back(name, input);
    field.querySelector("label").after(back);
    field.classList.add("set-head");
    this.rows.set(name, { head: true, input, back, row: field });
  }

  /** Something beside the settings that a search for some words finds. */
  beside(element, words) {
    this.others.push({ element, words: words.toLowerCase(), hidden: element.hidden });
  }

  input(name) {
    return this.rows.get(name)?.input;
  }

  /** Whether a setting is given here, and any rule that is used reads it. */
  reads(name) {
    if (this.hooks.elsewhere?.(name)) return false;
    const rules = this.rows.get(name)?.setting?.rules ?? null;
    return rules === null || this.hooks.rules().some((rule) => rules.includes(rule));
  }

  /** What differs from the recipe. */
  get different() {
    return [...this.rows.keys()].filter((name) => this.hooks.value(name) !== this.hooks.usual(name));
  }

  /** The same, without what the rule does not read. */
  get changed() {
    return this.different.filter((name) => this.reads(name));
  }

  // --- what is shown

  get words() {
    return this.search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  }

  get filtered() {
    return this.words.length > 0 || this.only.getAttribute("aria-pressed") === "true";
  }

  looked() {
    this.show();
    this.hooks.looked();
  }

  showOnly(wanted) {
    this.only.setAttribute("aria-pressed", String(wanted));
    this.kept = new Set(wanted ? this.changed : []);
    this.looked();
  }

  /** Show every setting again that the rule reads. */
  showAll() {
    this.search.value = "";
    this.showOnly(false);
  }

  show() {
    const { words, filtered, changed } = this;
    const only = this.only.getAttribute("aria-pressed") === "true";
    // Nothing vanishes under the hand that types it back to what it was.
    for (const name of changed) this.kept.add(name);
    const fits = (name) => {
      const one = this.rows.get(name);
      return words.every((word) => one.words.includes(word)) && (!only || this.kept.has(name));
    };
    if (filtered && !this.wasOpen) this.wasOpen = new Map(this.groups.map(({ element }) => [element, element.open]));
    let shown = 0;
    const elsewhere = [];
    for (const { settings, element, count } of this.groups) {
      let here = 0;
      for (const { name } of settings) {
        const matching = fits(name);
        const visible = matching && this.reads(name);
        if (matching && !visible && words.length) elsewhere.push(name);
        this.rows.get(name).row.hidden = !visible;
        here += visible ? 1 : 0;
      }
      element.hidden = here === 0;
      if (filtered && here) element.open = true;
      shown += here;
      const own = settings.filter(({ name }) => changed.includes(name)).length;
      count.textContent = own ? `${own} changed` : "";
    }
    if (!filtered && this.wasOpen) {
      for (const [element, open] of this.wasOpen) element.open = open;
      this.wasOpen = null;
    }
    for (const { element, words: found, hidden } of this.others) element.hidden = hidden || (filtered && !(words.length && words.every((word) => found.includes(word))));
    this.found.textContent = filtered ? this.result(shown, elsewhere) : "";
    this.mark(changed);
  }

  result(shown, elsewhere) {
    if (shown) return shown === 1 ? "1 setting." : `${shown} settings.`;
    if (!elsewhere.length) return this.words.length ? "No setting matches." : "No setting differs from the recipe.";
    const [name] = elsewhere;
    const place = this.hooks.elsewhere?.(name);
    if (place) return place;
    const titles = this.rows.get(name).setting.rules.map((key) => this.rules.find((rule) => rule.key === key)?.title ?? key);
    return `${name} is used only by ${titles.slice(0, 3).join(", ")}${titles.length > 3 ? " and others" : ""}.`;
  }

  /** Mark what differs from the recipe. */
  mark(changed = this.changed) {
    for (const [name, { row, back }] of this.rows) {
      const differs = changed.includes(name);
      row.classList.toggle("changed", differs);
      back.hidden = !differs;
      if (!differs) continue;
      const usual = this.hooks.usual(name) || EMPTY;
      back.title = `Reset to ${usual}`;
      back.setAttribute("aria-label", `${name}: reset to ${usual}`);
    }
    this.only.textContent = changed.length ? `Changed (${changed.length})` : "Changed";
    this.only.hidden = !changed.length && this.only.getAttribute("aria-pressed") !== "true";
    if (changed.length) this.before = null;
    this.all.hidden = !changed.length && !this.before;
    this.all.textContent = this.before ? "Undo" : "Reset all";
    this.all.title = this.before ? "Restore the changes" : "Reset all settings to the recipe's values";
  }

  /** Back to the recipe's values, or once more to what was changed before. */
  resetAll() {
    const { before, different } = this;
    if (before) {
      this.before = null;
      for (const [name, value] of before) this.hooks.change(name, value);
    } else {
      const kept = different.map((name) => [name, this.hooks.value(name)]);
      this.hooks.reset(different);
      this.before = kept;
    }
    this.show();
    if (this.all.hidden) this.search.focus();
  }

  /** Open the groups in which something is changed. */
  openChanged() {
    for (const { element, count } of this.groups) element.open ||= Boolean(count.textContent);
  }

  /** Let every input say what its setting stands at. */
  fill() {
    for (const [name, { input, head }] of this.rows) if (!head) input.value = this.hooks.value(name);
    this.show();
  }

  /** Say what is worth knowing about settings, by name. */
  tell(notes) {
    for (const [name, { note }] of this.rows) {
      if (!note) continue;
      note.textContent = notes[name] ?? "";
      note.hidden = !notes[name];
    }
  }

  // --- for a link

  texts() {
    return { find: this.search.value, only: this.only.getAttribute("aria-pressed") === "true" ? "changed" : "" };
  }

  /** Search again as `texts()` said; returns the names that make no sense. */
  restore({ find = "", only = "" }) {
    this.search.value = find;
    this.only.setAttribute("aria-pressed", String(only === "changed"));
    this.kept = new Set(this.changed);
    this.show();
    return only && only !== "changed" ? ["only"] : [];
  }
}
