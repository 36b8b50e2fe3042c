// Notes: the present view kept under a name with a sentence, and those that were kept before.
import { parted } from "../shared/address.js";
import { call } from "../shared/client.js";
import { h, moment, newId } from "../shared/dom.js";
import { FieldErrors } from "../shared/fields.js";
import { errorBox, say } from "../shared/messages.js";

export class NotesSheet {
  /** page: Explore. */
  constructor(page, server) {
    Object.assign(this, { page, server });
    this.errors = errorBox();
    this.fields = new FieldErrors();
    const field = (label, name, input) => h("div", { class: "field" }, h("label", { for: input.id }, label), input, this.fields.add(name, input));
    this.name = h("input", { id: newId("note"), type: "text", maxlength: "80", autocomplete: "off" });
    this.text = h("textarea", { id: newId("note-text"), rows: "2", maxlength: "600", placeholder: "What this view shows" });
    this.keepButton = h("button", { type: "submit", class: "primary" }, "Save this view");
    this.form = h("form", { class: "keep", novalidate: true, onsubmit: (event) => this.keep(event) }, field("Name", "name", this.name), field("Description", "text", this.text), this.keepButton);
    this.closed = h("p", { class: "help", hidden: true }, "The notes in this studio are read-only.");
    this.list = h("ul", { class: "notes-list", "aria-label": "Notes" });
    this.empty = h("p", { class: "help" }, "No notes yet. A note saves the current images, anchor, settings and overlay, with a picture.");
    const close = h("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: () => this.element.close() }, "✕");
    this.element = h("dialog", { class: "sheet notes-sheet", "aria-label": "Notes" }, h("header", {}, h("h2", {}, "Notes"), close), this.form, this.closed, this.errors, this.empty, this.list);
    this.element.addEventListener("click", (event) => event.target === this.element && this.element.close());
  }

  async open() {
    say(this.errors, []);
    this.element.showModal();
    await this.ask("notes", null);
    this.name.focus();
  }

  /** Ask the server for something that changes the list; whether it worked. */
  async ask(what, argument) {
    try {
      const reply = await call(this.server, what, argument);
      this.readOnly = reply.closed ?? this.readOnly;
      this.form.hidden = this.readOnly;
      this.closed.hidden = !this.readOnly;
      this.show(reply.notes);
      return true;
    } catch (error) {
      if (!this.fields.refuse(error)) say(this.errors, [error.message]);
      return false;
    }
  }

  async keep(event) {
    event.preventDefault();
    if (!this.page.state.view) return;
    say(this.errors, []);
    this.fields.show({});
    this.keepButton.disabled = true;
    const kept = await this.ask("keep_note", { name: this.name.value, text: this.text.value, view: this.page.view(), state: this.page.exportState() });
    this.keepButton.disabled = false;
    if (!kept) return;
    this.name.value = this.text.value = "";
    this.list.firstElementChild?.scrollIntoView({ block: "nearest" });
  }

  show(notes) {
    this.empty.hidden = notes.length > 0;
    this.list.replaceChildren(...notes.map((note) => this.item(note)));
  }

  item(note) {
    const address = `studio/note/${encodeURIComponent(note.key)}`;
    const when = moment(note.time);
    const button = (title, act, label) => h("button", { type: "button", class: "quiet", onclick: act, "aria-label": label }, title);
    const said = h("p", { class: "field-error", role: "alert", hidden: true });
    const picture = h("button", { type: "button", class: "picture", title: "Open this view", onclick: () => this.openNote(note, said) }, h("img", { src: `${address}/thumbnail.jpg`, alt: `Picture of ${note.name}`, loading: "lazy" }));
    const words = h("div", { class: "words" }, h("strong", {}, note.name), note.text ? h("p", {}, note.text) : null, h("span", { class: "help" }, `${note.about.anchor ?? ""}, ${when}`), said);
    const change = this.readOnly ? [] : [button("Rename", () => this.rename(note, words), `Rename ${note.name}`), button("Delete", () => this.remove(note), `Delete ${note.name}`)];
    const links = [
      button("Open", () => this.openNote(note, said), `Open ${note.name}`),
      h("a", { href: `${address}/picture.png`, target: "_blank", rel: "noopener" }, "Picture"),
      h("a", { href: `${address}.html`, download: "" }, "Download as HTML"),
    ];
    return h("li", { dataset: { note: note.key } }, picture, h("div", { class: "beside" }, words, h("div", { class: "inline" }, links, change)));
  }

  /** Show a note's view; where its images are gone, say so: its picture remains. */
  async openNote(note, said) {
    said.hidden = true;
    parted("explore"); // Back returns to what is shown now
    const refused = await this.page.returnTo(note.view);
    if (!refused) return this.element.close();
    said.textContent = `${refused} The note's picture is still available.`;
    said.hidden = false;
  }

  rename(note, words) {
    const name = h("input", { type: "text", value: note.name, maxlength: "80", "aria-label": "Name", autocomplete: "off" });
    const text = h("textarea", { rows: "2", maxlength: "600", "aria-label": "Description" });
    text.value = note.text;
    const save = async (event) => {
      event.preventDefault();
      say(this.errors, []);
      await this.ask("change_note", { key: note.key, name: name.value, text: text.value });
    };
    words.replaceChildren(h("form", { class: "keep", novalidate: true, onsubmit: save }, name, text, h("button", { type: "submit", class: "primary" }, "Save")));
    name.select();
  }

  async remove(note) {
    if (!confirm(`Delete the note “${note.name}” and its picture? This cannot be undone.`)) return;
    say(this.errors, []);
    await this.ask("remove_note", note.key);
  }
}
