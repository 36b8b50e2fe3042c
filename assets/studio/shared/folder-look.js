// A look at what is marked in the folder browser: which data set it seems to be, its first images.
import { call } from "./client.js";
import { h, moment } from "./dom.js";

export class FolderLook {
  constructor(server) {
    this.server = server;
    this.name = h("h3", {});
    this.text = h("p", { class: "summary", dataset: { part: "folder-look" } });
    this.pictures = h("div", { class: "thumbnails" });
    this.notes = h("details", { class: "more help", hidden: true });
    this.element = h("div", { class: "folder-look", "aria-live": "polite" }, this.name, this.text, this.pictures, this.notes);
  }

  clear() {
    this.path = null;
    this.fill("", "");
  }

  fill(name, text, pictures = [], notes = []) {
    this.name.textContent = name;
    this.text.textContent = text;
    this.pictures.replaceChildren(...pictures.map((one) => h("img", { src: one.image, alt: one.name, title: one.name, width: 112, height: 112 })));
    tellNotes(this.notes, notes);
  }

  /** target: what would be chosen, or null. */
  async show(target) {
    if (target?.path === this.path) return;
    this.path = target?.path;
    if (!target) return this.clear();
    if (target.kind === "file") return this.fill(target.name, written(target));
    this.fill(target.name, "Looking…");
    try {
      const found = await call(this.server, "look_at_folder", { path: target.path });
      if (this.path === target.path) this.fill(target.name, found.text, found.thumbnails, found.notes);
    } catch (error) {
      if (this.path === target.path) this.fill(target.name, error.message);
    }
  }
}

/** "2 notes", folded; none hide it. */
export function tellNotes(details, notes) {
  details.hidden = notes.length === 0;
  details.open = false;
  details.replaceChildren(h("summary", {}, notes.length === 1 ? "1 note" : `${notes.length} notes`), ...notes.map((note) => h("p", {}, note)));
}

/** 3400000 → "3.4 MB". */
export function bytes(size) {
  if (size === undefined) return "";
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; size >= 1000 && unit < units.length - 1; unit++) size /= 1000;
  return `${unit && size < 10 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

const written = (entry) => [bytes(entry.size), entry.time ? `modified ${moment(entry.time)}` : ""].filter(Boolean).join(", ");
