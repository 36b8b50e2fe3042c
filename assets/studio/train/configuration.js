// A run's settings: first those that differ from its recipe, then all of them, searched.
import { call } from "../shared/client.js";
import { card, h } from "../shared/dom.js";

const text = (value) => (value === "" || value === undefined || value === null ? "(empty)" : String(value));

export class Configuration {
  constructor(server, lists) {
    this.server = server;
    this.recipes = new Map(lists.recipes.map(({ name, settings }) => [name, settings]));
    this.settings = lists.groups.flatMap(({ title, settings }) => settings.map((one) => ({ ...one, group: title })));
    this.said = h("p", { class: "help" });
    this.changed = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Changed settings" });
    this.search = h("input", { type: "search", placeholder: "Search the settings", "aria-label": "Search the settings of this run", oninput: () => this.find() });
    this.rest = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "All settings" });
    this.found = h("p", { class: "help", role: "status" });
    this.all = h("details", { class: "all-settings" }, h("summary", {}, h("span", { class: "title" }, "All settings")), h("div", { class: "inside" }, this.search, this.found, this.rest));
    const { card: element, body } = card("Configuration", { class: "card configuration" });
    body.append(this.said, this.changed, this.all);
    this.element = element;
  }

  /** Settings may change where a run goes on with others: asked again whenever it stands elsewhere. */
  async show(run) {
    const key = `${run.name} ${run.state} ${run.recipe} ${run.device}`;
    if (key === this.key) return;
    if (this.name !== run.name) this.element.hidden = true;
    Object.assign(this, { key, name: run.name });
    try {
      const { config } = await call(this.server, "details", run.name);
      if (this.key === key) this.draw(config);
    } catch {
      if (this.key === key) this.key = null; // the next look asks again
    }
  }

  draw(config) {
    const usual = this.recipes.get(config.recipe) ?? null;
    const order = [{ name: "rule" }, { name: "backbone" }, ...this.settings];
    const known = order.filter(({ name }) => name in config).map((one) => ({ ...one, value: config[one.name], usual: usual?.[one.name], read: !one.rules || one.rules.includes(config.rule) }));
    const changed = known.filter((one) => usual && one.read && one.value !== one.usual);
    this.element.hidden = known.length === 0;
    this.said.textContent = this.sentence(config.recipe, usual, changed.length);
    this.changed.hidden = changed.length === 0;
    this.changed.replaceChildren(table(changed, true));
    this.rows = known.map((one) => ({ row: row(one, Boolean(usual)), words: `${one.name} ${one.name.replaceAll("_", " ")} ${one.group ?? ""} ${one.meaning ?? ""} ${text(one.value)}`.toLowerCase() }));
    this.rest.replaceChildren(table([], Boolean(usual), this.rows.map((one) => one.row)));
    this.find();
  }

  sentence(recipe, usual, count) {
    if (!usual) return recipe ? `This studio has no recipe ${recipe} to compare with.` : "The recipe of this run is unknown.";
    if (!count) return `All settings are those of the recipe ${recipe}.`;
    return count === 1 ? `1 setting differs from the recipe ${recipe}:` : `${count} settings differ from the recipe ${recipe}:`;
  }

  find() {
    const words = this.search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { row: element, words: text } of this.rows ?? []) {
      element.hidden = !words.every((word) => text.includes(word));
      shown += element.hidden ? 0 : 1;
    }
    this.found.textContent = words.length ? (shown === 1 ? "1 setting." : shown ? `${shown} settings.` : "No setting matches.") : "";
  }
}

function table(settings, compared, rows = settings.map((one) => row(one, compared))) {
  const heads = ["Setting", "Value", ...(compared ? ["Recipe"] : [])];
  return h("table", {}, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, rows));
}

function row({ name, meaning, value, usual, read }, compared) {
  const differs = compared && read && value !== usual;
  const unread = read ? "" : " (not used by this rule)";
  return h("tr", { class: [differs ? "changed" : "", read ? "" : "unread"].join(" ").trim(), title: meaning ?? "", dataset: { configured: name } }, h("th", { scope: "row" }, name, unread ? h("small", {}, unread) : null), h("td", {}, text(value)), compared ? h("td", {}, text(usual)) : null);
}
