// A run's tags and note: shown, searched for by a click, and edited in place.
import { call } from "../shared/client.js";
import { h, newId } from "../shared/dom.js";
import { fieldError, tell } from "../shared/messages.js";
import { SAMPLE } from "../shared/sample.js";

/** Buttons that look for the runs with the same tag. */
export const chips = (tags, search) => tags.map((tag) => h("button", { type: "button", class: "tag", title: `Runs tagged ${tag}`, dataset: { tag }, onclick: () => search(tag) }, tag));

export class Notes {
  /** closed: whether pages may change nothing; hooks: {search(tag), changed()}. */
  constructor(server, closed, hooks) {
    // What is typed about a run stays while others are looked at, by the run's name.
    Object.assign(this, { server, closed, hooks, typed: new Map() });
    const id = newId("tags");
    this.errors = { tags: fieldError("tags"), note: fieldError("note") };
    this.tags = h("input", { id, type: "text", autocomplete: "off", spellcheck: "false", placeholder: "baseline, paper", "aria-describedby": this.errors.tags.id });
    this.note = h("textarea", { id: `${id}-note`, rows: "4", maxlength: "4000", "aria-describedby": this.errors.note.id });
    this.edit = h("button", { type: "button", class: "quiet", onclick: () => this.begin() });
    this.shown = h("div", { class: "noted" });
    this.words = h("p", { class: "note" });
    this.failed = fieldError("notes");
    const save = h("button", { type: "submit", class: "primary" }, "Save");
    this.form = h(
      "form",
      { class: "note-form", hidden: true, onsubmit: (event) => this.save(event), onkeydown: (event) => event.key === "Escape" && this.end() },
      h("div", { class: "field" }, h("label", { for: id }, "Tags, separated by commas or spaces"), this.tags, this.errors.tags),
      h("div", { class: "field" }, h("label", { for: `${id}-note` }, "Note"), this.note, this.errors.note),
      h("div", { class: "buttons" }, save, h("button", { type: "button", onclick: () => this.end() }, "Cancel")),
    );
    this.element = h("section", { class: "notes-of-run", "aria-label": "Tags and note" }, this.shown, this.words, this.failed, this.form);
  }

  show(run) {
    const other = this.run?.name !== run.name;
    if (other) {
      if (!this.form.hidden) this.typed.set(this.run.name, { before: this.before, tags: this.tags.value, note: this.note.value });
      this.form.hidden = true;
      tell(this.failed, "");
    }
    const before = JSON.stringify([this.run?.name, this.run?.tags, this.run?.note]);
    this.run = run;
    this.element.hidden = run.name === SAMPLE || (this.closed && !run.tags?.length && !run.note);
    if (before === JSON.stringify([run.name, run.tags, run.note])) return;
    if (other && this.typed.has(run.name)) this.open(this.typed.get(run.name));
    this.draw(run.tags ?? [], run.note ?? "");
    // The list has the beginning of a long note.
    if (run.note) this.fetch();
  }

  draw(tags, note) {
    this.edit.textContent = tags.length || note ? "Edit tags and note" : "Add tags or a note";
    this.edit.hidden = this.closed || !this.form.hidden;
    this.shown.replaceChildren(...chips(tags, this.hooks.search), this.edit);
    this.words.textContent = note;
    this.words.hidden = !note;
  }

  /** What is there now; null where the studio does not answer. */
  async fetch() {
    const { name } = this.run;
    try {
      const found = await call(this.server, "notes", { name });
      if (name !== this.run.name) return null;
      tell(this.failed, "");
      this.draw(found.tags, found.note);
      return found;
    } catch (error) {
      if (name === this.run.name) tell(this.failed, error.message);
      return null;
    }
  }

  async begin() {
    const found = await this.fetch();
    if (!found) return;
    this.open({ before: found, tags: found.tags.join(", "), note: found.note });
    this.tags.focus();
  }

  open({ before, tags, note }) {
    this.before = before;
    this.tags.value = tags;
    this.note.value = note;
    for (const error of Object.values(this.errors)) tell(error, "");
    this.form.hidden = false;
    this.edit.hidden = true;
  }

  end() {
    this.typed.delete(this.run.name);
    this.form.hidden = true;
    this.edit.hidden = this.closed;
    this.edit.focus();
  }

  async save(event) {
    event.preventDefault();
    for (const error of Object.values(this.errors)) tell(error, "");
    const tags = this.tags.value.split(/[\s,]+/).filter(Boolean);
    const { name } = this.run;
    try {
      const found = await call(this.server, "notes", { name, tags, note: this.note.value, known: this.before });
      this.typed.delete(name);
      this.hooks.changed();
      if (name !== this.run.name) return; // another is looked at by now
      Object.assign(this.run, { tags: found.tags });
      this.form.hidden = true;
      this.draw(found.tags, found.note);
      this.end();
    } catch (error) {
      if (name !== this.run.name) return; // it is still typed there
      // Changed elsewhere meanwhile: that is shown above, and saving once more is on purpose.
      if (!error.field) this.before = (await this.fetch()) ?? this.before;
      tell(this.errors[error.field] ?? this.errors.note, error.message);
    }
  }
}
