// Ablations: every combination of values and seeds, trained one after the other, as a table.
import { call } from "../shared/client.js";
import { card, download, h, newId, relist, select } from "../shared/dom.js";
import { hint } from "../shared/hint.js";
import { Kept } from "../shared/keep.js";
import { errorBox, say } from "../shared/messages.js";
import { PathField } from "../shared/path-field.js";
import { conclusion } from "./tables.js";

export class AblationCard {
  /** on: {show(name, byHand), typed()}. */
  constructor(server, on) {
    Object.assign(this, { server, on, current: null });
    this.recipe = select("Recipe", [["camvid", "camvid"]], "camvid", () => {});
    this.data = this.text("", "a folder; samples needs none");
    this.grid = this.text("phi0=0.5,0.6,0.7");
    this.seeds = this.text("0 1 2");
    this.name = this.text("phi");
    this.errors = errorBox();
    this.begin = h("button", { type: "submit" }, "Train them all");
    this.list = h("ul", { class: "reports" });
    const form = h(
      "form",
      {
        class: "inside",
        novalidate: true,
        onsubmit: (event) => {
          event.preventDefault();
          this.start();
        },
        oninput: () => on.typed(),
      },
      this.recipe.field,
      h("div", { class: "field" }, h("label", { for: this.data.id }, "Data set on this server"), new PathField(server, this.data).element),
      this.labelled("Varied settings", this.grid),
      h("div", { class: "row-fields" }, this.labelled("Seeds", this.seeds), this.labelled("Name", this.name)),
      h("p", { class: "help" }, "Every combination is a run in the queue of Train. The same name again goes on."),
      h("div", { class: "inline" }, this.begin),
      this.errors,
    );
    const { card: element, body } = card("Ablations", { class: "card ablations" });
    this.details = h("details", {}, h("summary", {}, "New ablation"), form);
    body.append(this.list, this.details);
    this.element = element;
    this.there = this.refresh().then(() => this.keep());
  }

  /** What is still there after a reload; the list of recipes must be there. */
  keep() {
    const { data, grid, seeds, name } = this;
    this.kept = new Kept();
    for (const [part, input] of Object.entries({ recipe: this.recipe.input, data, grid, seeds, name })) this.kept.add(`ablation.${part}`, input);
  }

  texts() {
    return this.kept?.texts() ?? this.wanted ?? {};
  }

  /** Fill the form in again; returns the names that make no sense in it. */
  async restore(form) {
    const own = Object.entries(form).filter(([name]) => name.startsWith("ablation."));
    this.wanted = Object.fromEntries(own);
    await this.there;
    this.details.open ||= own.length > 0;
    return this.kept.restore(this.wanted);
  }

  text(value, placeholder) {
    return h("input", { id: newId("ablation"), type: "text", value, placeholder, autocomplete: "off", spellcheck: "false" });
  }

  labelled(name, input) {
    return h("div", { class: "field" }, h("label", { for: input.id }, name), input);
  }

  async start() {
    say(this.errors, []);
    this.begin.disabled = true;
    try {
      const request = { recipe: this.recipe.input.value, data: this.data.value.trim(), grid: this.grid.value, seeds: this.seeds.value, name: this.name.value.trim() };
      const { name } = await call(this.server, "start_ablation", request);
      await this.refresh();
      this.choose(name, true);
    } catch (error) {
      say(this.errors, [error.message]);
    }
    this.begin.disabled = false;
  }

  async refresh() {
    try {
      const { recipes, ablations } = await call(this.server, "ablations", null);
      relist(this.recipe.input, recipes.map((name) => [name, name]));
      this.list.replaceChildren(
        ...ablations.map((one) => h("li", { dataset: { ablation: one.name } }, h("button", { type: "button", class: "open", onclick: () => this.choose(one.name, true) }, h("strong", {}, one.name), h("span", {}, one.text), h("span", {}, one.total ? `${one.finished} of ${one.total} runs finished` : "")))),
      );
      this.mark();
    } catch {
      // the next visit asks again
    }
  }

  choose(name, byHand = false) {
    this.current = name;
    this.mark();
    this.on.show(name, byHand);
  }

  leave() {
    this.current = null;
    this.mark();
  }

  mark() {
    for (const item of this.list.children) item.classList.toggle("current", item.dataset.ablation === this.current);
  }
}

/** An ablation's tables, and where its runs stand. */
export function ablationView(reply) {
  const { card: element, body, header } = card(`Ablation ${reply.name}`, { class: "card ablation" });
  header.append(h("div", { class: "inline" }, h("button", { type: "button", class: "quiet", onclick: () => download(`${reply.name}.csv`, new Blob([reply.csv], { type: "text/csv" })) }, "CSV")));
  const { total, finished, running, waiting, stopped, failed } = reply.standing;
  const parts = [`${finished} of ${total} runs finished`, running && `${running} running`, waiting && `${waiting} waiting`, stopped && `${stopped} stopped`, failed && `${failed} failed`].filter(Boolean);
  body.append(h("p", { role: "status" }, `${parts.join(", ")}.`));
  if (reply.said && finished < total) body.append(h("p", { class: "help" }, reply.said));
  if (reply.conclusion) body.append(conclusion(reply.conclusion));
  for (const { title, columns, rows } of reply.tables) {
    if (title) body.append(h("h3", {}, title));
    const head = columns.map((name) => h("th", {}, name ? hint(name, reply.hints[name]) : ""));
    body.append(h("div", { class: "scroll" }, h("table", { class: "numbers" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, i) => h(i ? "td" : "th", {}, cell))))))));
  }
  body.append(h("ul", { class: "notes" }, reply.notes.map((note) => h("li", {}, note))), h("p", { class: "help" }, "Mean ± deviation over the seeds that are finished; the paper's numbers are for its own settings."));
  return element;
}
