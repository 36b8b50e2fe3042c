// The folder browser: the folders and files of the server that the studio may show, one dialog.
import { call, latestOnly } from "./client.js";
import { count, h, newId } from "./dom.js";
import { FolderLook, bytes } from "./folder-look.js";
import { recent } from "./recent.js";

const FILTER_AFTER_MS = 130;
const LOOK_AFTER_MS = 140;
const TITLES = { folder: "Choose a folder", checkpoint: "Choose a checkpoint file", backbone: "Choose a file or folder with weights", features: "Choose a features file (NPZ)" };
const browsers = new WeakMap();

/** The one of a page; it is made when it is first needed. */
export function folderBrowser(server, root) {
  if (!browsers.has(root)) browsers.set(root, new FolderBrowser(server, root));
  return browsers.get(root);
}

/** A path that fields can hold: what is typed is trimmed, and has no line breaks. */
const holds = (path) => path.trim() === path && !/[\r\n]/.test(path);

export class FolderBrowser {
  constructor(server, root) {
    this.server = server;
    this.turn = 0;
    this.entries = [];
    this.marked = -1;
    this.build();
    root.append(this.element);
    this.look = latestOnly(() => this.preview.show(this.target));
  }

  build() {
    const listId = newId("entries");
    this.title = h("h2", {});
    this.crumbs = h("nav", { class: "crumbs", "aria-label": "Path" });
    this.up = h("button", { type: "button", class: "up", "aria-label": "One folder up", title: "One folder up (Backspace)", onclick: () => this.goUp() }, "↑");
    this.filter = h("input", { type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": listId, "aria-label": "Type to filter", placeholder: "Type to filter", autocomplete: "off", spellcheck: "false", oninput: () => this.filtered(), onkeydown: (event) => this.key(event) });
    this.list = h("ul", { id: listId, class: "entries", role: "listbox", "aria-label": "Folders", onclick: (event) => this.clicked(event), ondblclick: (event) => this.clicked(event, true) });
    this.more = h("button", { type: "button", class: "quiet more-entries", hidden: true, onclick: () => this.loadMore() });
    this.status = h("div", { class: "help", role: "status", dataset: { part: "folder-status" } });
    this.failure = h("p", { class: "field-error", role: "alert", hidden: true });
    this.preview = new FolderLook(this.server);
    this.choose = h("button", { type: "button", class: "primary", onclick: () => this.take() }, "Choose");
    const close = () => this.element.close();
    this.element = h(
      "dialog",
      { class: "sheet folder-browser", "aria-label": "Folders on this server" },
      h("header", {}, this.title, h("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: close }, "✕")),
      h("div", { class: "inline where" }, this.up, this.crumbs),
      this.filter,
      h("div", { class: "folder-panes" }, h("div", { class: "entries-pane" }, this.list, this.more, this.failure), this.preview.element),
      this.status,
      h("footer", {}, h("p", { class: "help keys-help" }, "Enter opens, Ctrl+Enter chooses, Backspace goes up."), h("button", { type: "button", onclick: close }, "Cancel"), this.choose),
    );
    this.element.addEventListener("click", (event) => event.target === this.element && close());
    // Forms around the dialog's place must not take its fields for theirs.
    for (const kind of ["input", "change"]) this.element.addEventListener(kind, (event) => event.stopPropagation());
  }

  /** Show it, at a path or where one may begin; chosen(path) is called with what was chosen. */
  async open(path, want, chosen) {
    Object.assign(this, { want, chosen });
    this.title.textContent = TITLES[want];
    this.clear();
    this.element.showModal();
    this.filter.focus();
    await this.go(path, { nearest: true });
  }

  clear() {
    this.entries = [];
    this.path = "";
    this.list.replaceChildren();
    this.crumbs.replaceChildren();
    this.filter.value = "";
    this.more.hidden = true;
    this.preview.clear();
    this.say("");
    this.status.textContent = "";
  }

  // --- where it is

  /** Open a folder; "" is where one may begin. What is shown stays until that is there. */
  async go(path, { nearest = false, from = "" } = {}) {
    const reply = await this.ask({ path, nearest, filter: "" });
    if (!reply) {
      if (!this.path && path) await this.go(""); // from the beginning, with what was said
      return;
    }
    this.filter.value = "";
    this.show(reply);
    const at = this.entries.findIndex((entry) => entry.path === (reply.marked || from));
    this.mark(at);
  }

  goUp() {
    if (this.path) this.go(this.reply.up ?? "", { from: this.path });
  }

  /** A page of entries; null where it was refused, or something else has been asked meanwhile. */
  async ask(request) {
    const mine = ++this.turn;
    const slow = setTimeout(() => mine === this.turn && this.list.classList.add("waiting"), 250);
    try {
      const begin = request.path === "" ? { recent: await recent(this.server, this.want) } : {};
      const reply = await call(this.server, "browse_folder", { want: this.want, ...request, ...begin });
      if (mine !== this.turn) return null;
      this.say("");
      return reply;
    } catch (error) {
      if (mine === this.turn) this.say(error.message);
      return null;
    } finally {
      clearTimeout(slow);
      if (mine === this.turn) this.list.classList.remove("waiting");
    }
  }

  say(text) {
    this.failure.hidden = !text;
    this.failure.textContent = text;
  }

  show(reply) {
    this.reply = reply;
    this.path = reply.path;
    this.entries = reply.path ? reply.entries : reply.places;
    this.up.disabled = !reply.path;
    this.crumbs.replaceChildren(h("button", { type: "button", class: "quiet", onclick: () => this.go("") }, "Start"), ...(reply.crumbs ?? []).map(({ name, path }) => h("button", { type: "button", class: "quiet", dataset: { path }, onclick: () => this.go(path, { from: this.path }) }, name)));
    this.crumbs.scrollLeft = this.crumbs.scrollWidth;
    this.list.scrollTop = 0;
    this.list.replaceChildren(...this.items(this.entries, 0));
    this.describe();
  }

  items(entries, first) {
    let group = "";
    return entries.flatMap((entry, i) => {
      const open = entry.kind === "folder" ? h("button", { type: "button", class: "quiet into", tabIndex: -1, "aria-label": `Open ${entry.name}`, dataset: { open: "" } }, "›") : h("span", { class: "size" }, bytes(entry.size));
      const item = h("li", { id: `${this.list.id}-${first + i}`, role: "option", "aria-selected": "false", title: entry.path, dataset: { index: String(first + i), kind: entry.kind } }, h("span", { class: "name" }, entry.name), open);
      const heading = entry.group && entry.group !== group ? h("li", { role: "presentation", class: "group" }, entry.group === "recent" ? "Recent" : "Places") : null;
      group = entry.group;
      return heading ? [heading, item] : [item];
    });
  }

  describe() {
    const { total = 0, pictures = 0, said = [] } = this.reply;
    const shown = this.entries.length;
    this.more.hidden = !this.path || shown >= total || shown === 0;
    this.more.textContent = `${count(shown)} of ${count(total)}: show more`;
    const images = pictures === 1 ? "1 image" : `${count(pictures)} images`;
    const files = this.want !== "folder";
    const none = this.filter.value ? "Nothing here matches the filter." : files ? "No folders or matching files here." : "No folders here.";
    const parts = this.path ? [total === 0 ? none : `${count(total)} ${files ? (total === 1 ? "entry" : "entries") : total === 1 ? "folder" : "folders"}.`, pictures && !files ? `${images} directly in this folder.` : "", ...said] : said;
    this.status.textContent = parts.filter(Boolean).join(" ");
  }

  async loadMore() {
    const first = this.entries.length;
    const reply = await this.ask({ path: this.path, filter: this.filter.value, start: first });
    if (!reply) return;
    this.entries.push(...reply.entries);
    this.list.append(...this.items(reply.entries, first));
    this.describe();
    this.mark(Math.min(first, this.entries.length - 1));
    this.filter.focus();
  }

  filtered() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.refilter(), FILTER_AFTER_MS);
  }

  async refilter() {
    const wanted = this.filter.value;
    if (!this.path) {
      this.entries = this.reply.places.filter(({ name, path }) => `${name}\n${path}`.toLowerCase().includes(wanted.toLowerCase()));
      this.list.replaceChildren(...this.items(this.entries, 0));
      this.mark(wanted && this.entries.length ? 0 : -1);
      return;
    }
    const reply = await this.ask({ path: this.path, filter: wanted });
    if (!reply || wanted !== this.filter.value) return;
    this.show(reply);
    this.mark(wanted && this.entries.length ? 0 : -1);
  }

  // --- what is marked

  get entry() {
    return this.entries[this.marked] ?? null;
  }

  /** What would be chosen: what is marked, or else the folder that is open. */
  get target() {
    if (this.entry) return this.entry;
    return this.path ? { path: this.path, name: this.reply.name, kind: "folder" } : null;
  }

  mark(index) {
    this.list.querySelector('[aria-selected="true"]')?.setAttribute("aria-selected", "false");
    this.marked = index;
    const item = index < 0 ? null : document.getElementById(`${this.list.id}-${index}`);
    if (item) {
      item.setAttribute("aria-selected", "true");
      item.scrollIntoView({ block: "nearest" });
      this.filter.setAttribute("aria-activedescendant", item.id);
    } else this.filter.removeAttribute("aria-activedescendant");
    const { target } = this;
    const fits = target && ((this.want === "folder") === (target.kind === "folder") || target.model);
    this.choose.disabled = !fits;
    this.choose.textContent = fits ? `Choose ${shortened(target.name)}` : "Choose";
    clearTimeout(this.looking);
    this.looking = setTimeout(() => this.look(), LOOK_AFTER_MS);
  }

  move(step) {
    const last = this.entries.length - 1;
    if (last < 0) return;
    const next = this.marked + step;
    if (next > last && !this.more.hidden) this.loadMore();
    else this.mark(Math.max(0, Math.min(last, next)));
  }

  clicked(event, twice = false) {
    const item = event.target.closest("[data-index]");
    if (!item) return;
    this.mark(Number(item.dataset.index));
    if (twice || event.target.closest("[data-open]")) this.enter();
    this.filter.focus();
  }

  /** Open what is marked, or choose it where it cannot be opened. */
  enter() {
    if (this.entry?.kind === "folder") this.go(this.entry.path);
    else this.take();
  }

  take() {
    const { target } = this;
    if (this.choose.disabled || !target) return;
    if (!holds(target.path)) {
      this.say("Its path begins or ends with a space or contains a line break. Rename it first.");
      return;
    }
    this.element.close();
    this.chosen(target.path);
  }

  key(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 };
    const empty = this.filter.value === "";
    if (event.key in steps) this.move(steps[event.key]);
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.take();
    else if (event.key === "Enter") this.enter();
    else if (empty && (event.key === "Backspace" || event.key === "ArrowLeft")) this.goUp();
    else if (empty && event.key === "ArrowRight" && this.entry?.kind === "folder") this.enter();
    else return;
    event.preventDefault();
  }
}

const shortened = (name) => (name.length > 28 ? `${name.slice(0, 27)}…` : name);
