// What a lasso holds: its classes and images, and its patches as a file.
import { bytes } from "../shared/codec.js";
import { call, latestOnly } from "../shared/client.js";
import { count, download, h, percent } from "../shared/dom.js";

const SHOWN = 6;

export class LassoCard {
  /** getState() gives the page's state; its `selection` is the lasso. */
  constructor(server, getState) {
    this.server = server;
    this.getState = getState;
    this.ask = latestOnly(() => this.fetch());
    this.title = h("h3", {});
    this.tables = h("div", { class: "lasso-tables" });
    const save = (format) => h("button", { type: "button", class: "quiet", title: `The patches in the lasso as ${format.toUpperCase()}`, dataset: { lasso: format }, onclick: () => this.save(format) }, format.toUpperCase());
    this.problem = h("p", { class: "field-error", role: "alert", hidden: true });
    this.element = h("section", { class: "lasso", hidden: true, "aria-label": "Lasso" }, h("div", { class: "row" }, this.title, h("span", { class: "saves" }, "Save ", save("csv"), save("json"))), this.tables, this.problem);
  }

  /** The lasso was drawn, or is gone. */
  show() {
    const { selection } = this.getState();
    this.element.hidden = selection.size === 0;
    this.say("");
    if (!selection.size) return;
    this.title.textContent = `${count(selection.size)} patches in the lasso`;
    this.tables.replaceChildren();
    this.ask();
  }

  request = () => ({ batch: this.getState().batch.batch, lasso: [...this.getState().selection] });

  async fetch() {
    const { selection } = this.getState();
    if (!selection.size) return;
    try {
      const reply = await call(this.server, "lasso", this.request());
      if (this.getState().selection !== selection) return;
      this.tables.replaceChildren(...(reply.classes ? [table("Class", reply.classes)] : []), table("Image", reply.images));
      this.element.dataset.patches = String(reply.patches);
    } catch (error) {
      this.say(error.message);
    }
  }

  async save(format) {
    try {
      const reply = await call(this.server, "lasso", { ...this.request(), format });
      download(reply.name, new Blob([bytes(reply.data)], { type: reply.type }));
      this.say("");
    } catch (error) {
      this.say(error.message);
    }
  }

  say(text) {
    this.problem.textContent = text;
    this.problem.hidden = !text;
  }
}

/** The most frequent ones; the others together in a last line. */
function table(what, rows) {
  const shown = rows.length > SHOWN + 1 ? rows.slice(0, SHOWN) : rows;
  const rest = rows.slice(shown.length);
  const line = (name, { patches, share, of }) => h("tr", {}, h("th", { scope: "row", title: name }, name), h("td", {}, count(patches)), h("td", {}, percent(share)), h("td", {}, of ? percent(patches / of) : ""));
  const sum = (key) => rest.reduce((total, row) => total + row[key], 0);
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, what), h("th", { scope: "col" }, "patches"), h("th", { scope: "col", title: "Share of the lasso's patches" }, "share"), h("th", { scope: "col", title: `Share of the patches of the ${what.toLowerCase()} that are in the lasso` }, `of ${what.toLowerCase()}`))),
    h("tbody", {}, shown.map((row) => line(row.name, row)), rest.length ? line(`${rest.length} more`, { patches: sum("patches"), share: sum("share"), of: sum("of") }) : null),
  );
}
