// Ablations: every combination of values and seeds, trained one after the other, as a table.
import { call } from "../shared/client.js";
import { card, download, h } from "../shared/dom.js";
import { hint } from "../shared/hint.js";
import { AblationForm } from "./ablationform.js";
import { conclusion } from "./tables.js";

const PREFIX = "ablation."; // of the form's parts in a link

export class AblationCard {
  /** on: {show(name, byHand), typed()}. */
  constructor(server, on) {
    Object.assign(this, { server, on, current: null });
    this.list = h("ul", { class: "reports" });
    this.form = new AblationForm(server, { typed: () => on.typed(), started: (name) => this.started(name) });
    const { card: element, body } = card("Ablations", { class: "card ablations" });
    this.details = h("details", { ontoggle: () => this.details.open && this.form.open() }, h("summary", {}, "New ablation"), this.form.element);
    body.append(this.list, this.details);
    this.element = element;
    this.there = this.refresh();
  }

  /** What is still there after a reload. */
  texts() {
    if (this.wanted) return this.wanted;
    return Object.fromEntries(Object.entries(this.form.texts()).map(([name, text]) => [PREFIX + name, text]));
  }

  /** Fill the form in again; returns the names that make no sense in it. */
  async restore(form) {
    const own = Object.entries(form).filter(([name]) => name.startsWith(PREFIX));
    this.wanted = Object.fromEntries(own);
    await this.there;
    this.details.open ||= own.length > 0;
    const odd = await this.form.restore(Object.fromEntries(own.map(([name, text]) => [name.slice(PREFIX.length), text])));
    this.wanted = null;
    return odd.map((name) => PREFIX + name);
  }

  async started(name) {
    await this.refresh();
    this.choose(name, true);
  }

  async refresh() {
    try {
      const { recipes, ablations } = await call(this.server, "ablations", null);
      this.form.setRecipes(recipes);
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
  body.append(h("ul", { class: "notes" }, reply.notes.map((note) => h("li", {}, note))), h("p", { class: "help" }, "Mean ± standard deviation over the finished seeds. The paper's numbers are for its own settings."));
  return element;
}
