// Another method's predictions in place of a checkpoint: a folder of files, and how they are read.
import { h, newId, select } from "../shared/dom.js";
import { PathField } from "../shared/path-field.js";

const HOLDING = [["clusters", "Clusters"], ["classes", "Classes"]];
const MAPS = [["", "Automatic"], ["one-to-one", "One to one"], ["many-to-one", "Many to one"]];

export class ForeignFields {
  /** changed(): something else was chosen. */
  constructor(server, changed) {
    const id = newId("predictions");
    this.path = h("input", { id, type: "text" });
    this.place = new PathField(server, this.path);
    this.are = select("Files contain", HOLDING, "clusters", () => {
      this.show();
      changed();
    });
    this.map = select("Matched", MAPS, "", changed);
    const said = h("p", { class: "help" }, "8- or 16-bit PNG files with the same names as the images.");
    this.folder = h("div", { class: "field", hidden: true }, h("label", { for: id }, "Folder of predictions on this server"), this.place.element, said);
    this.learnt = h("p", { class: "help" }, "Automatic: one to one, or many to one if there are more clusters than classes. A many-to-one map is learnt on the evaluated images themselves, which inflates the scores.");
    this.map.input.setAttribute("aria-describedby", (this.learnt.id = newId("map")));
    this.how = h("div", { class: "field", hidden: true }, h("div", { class: "row-fields" }, this.are.field, this.map.field), this.learnt);
    this.show();
  }

  show() {
    this.map.field.hidden = this.learnt.hidden = this.are.input.value !== "clusters";
  }

  set hidden(hidden) {
    this.folder.hidden = this.how.hidden = hidden;
  }

  request() {
    return { predictions: this.path.value.trim(), are: this.are.input.value, map: this.map.input.value };
  }

  /** What is still there after a reload. */
  keep(kept) {
    for (const [name, input] of Object.entries({ predictions: this.path, are: this.are.input, map: this.map.input })) kept.add(name, input);
  }
}
