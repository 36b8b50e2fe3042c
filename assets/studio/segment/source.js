// What is segmented: sample photos, one's own images, or a folder; and with what (model.js).
import { call } from "../shared/client.js";
import { choice, h, newId } from "../shared/dom.js";
import { fileDrop, uploadAll } from "../shared/drop.js";
import { FieldErrors } from "../shared/fields.js";
import { Kept } from "../shared/keep.js";
import { errorBox, noteBox, say } from "../shared/messages.js";
import { PathField } from "../shared/path-field.js";
import { SegmentModel } from "./model.js";
import { USUAL } from "./switches.js";

const CHECK_AFTER_MS = 300;

// Pictures of one source are nothing to another.
const NO_PICTURES = { files: undefined, of: undefined, folder: undefined, split: undefined };

export class SegmentSource {
  /** hooks: {upload(file), onRequest(request, byHand): asks for a segmentation, stop(), typed()}. */
  constructor(server, config, hooks) {
    this.server = server;
    this.config = config;
    this.hooks = hooks;
    this.turn = 0;
    this.request = {
      source: "samples",
      size: 448,
      backbone: config.backbone,
      clusters: config.clusters,
      checkpoint: null,
      ...USUAL,
    };
    this.status = h("p", { class: "status", role: "status" });
    this.bar = h("progress", { max: 1, value: 0, "aria-label": "Segmenting" });
    this.stop = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => this.hooks.stop() }, "Cancel");
    this.busy = h("div", { class: "busy", hidden: true }, h("div", { class: "inline" }, this.status, this.stop), this.bar);
    this.errors = errorBox();
    this.fields = new FieldErrors();
    this.remarks = noteBox();
    this.model = new SegmentModel(server, config, this.fields, { request: () => this.request, ask: (changes) => this.ask(changes) });
    this.element = h("div", { class: "side" }, this.pictures(), this.model.element);
    this.kept = new Kept();
    for (const [name, input] of Object.entries({ folder: this.folder, split: this.split, path: this.model.path })) this.kept.add(name, input);
    this.element.addEventListener("input", () => hooks.typed());
  }

  /** Make the controls say what a request asks for. */
  adopt(request) {
    this.request = request;
    const { source, folder, split } = request;
    this.source.set(source);
    this.filesBox.hidden = source !== "files";
    this.folderBox.hidden = source !== "folder";
    if (source === "folder") Object.assign(this.folder, { value: folder });
    if (source === "folder") Object.assign(this.split, { value: split });
    this.model.adopt(request);
  }

  pictures() {
    this.source = choice("Images", [["samples", "Sample photos"], ["files", "Your images"], ["folder", "Folder"]], "samples", (key) => {
      this.filesBox.hidden = key !== "files";
      this.folderBox.hidden = key !== "folder";
      if (key === "samples") this.ask({ source: "samples", ...NO_PICTURES });
    });
    const { element } = fileDrop(this.config.max_images, (files) => this.useFiles(files));
    this.filesBox = element;
    this.filesBox.hidden = true;
    this.folderBox = this.folderPanel();
    return h(
      "section",
      { class: "card", "aria-label": "Images" },
      h("header", {}, h("h2", {}, "Images")),
      h("div", { class: "card-body" }, this.source.group, this.filesBox, this.folderBox, this.busy, this.errors, this.remarks),
    );
  }

  folderPanel() {
    const [folderId, splitId] = [newId("folder"), newId("split")];
    this.folder = h("input", { id: folderId, type: "text" });
    this.splits = h("datalist", { id: newId("splits") });
    this.split = h("input", { id: splitId, type: "text", list: this.splits.id, placeholder: "all", autocomplete: "off", spellcheck: "false" });
    this.submit = h("button", { type: "submit", class: "primary" }, "Segment");
    const offerSplits = (look) => this.splits.replaceChildren(...(look?.splits ?? []).map(([name]) => h("option", { value: name })));
    this.place = new PathField(this.server, this.folder, { about: true, chosen: () => this.submit.focus(), seen: offerSplits });
    return h(
      "form",
      { class: "source-panel", hidden: true, novalidate: true, onsubmit: (event) => this.useFolder(event), oninput: () => this.checkSoon() },
      h("div", { class: "field" }, h("label", { for: folderId }, "Folder on this server"), this.place.element, this.fields.add("folder", this.folder)),
      h("div", { class: "field" }, h("label", { for: splitId }, "Split"), this.split, this.splits, this.fields.add("split", this.split)),
      h("div", { class: "inline" }, this.submit),
    );
  }

  useFolder(event) {
    event.preventDefault();
    this.fields.sent = true;
    this.ask({ source: "folder", ...NO_PICTURES, folder: this.folder.value.trim(), split: this.split.value.trim() });
  }

  checkSoon() {
    clearTimeout(this.checking);
    this.checking = setTimeout(() => this.check(), CHECK_AFTER_MS);
  }

  /** What is wrong with the folder is said at its field while it is typed. */
  async check() {
    const { value } = this.folder;
    try {
      const { errors, offers } = await call(this.server, "check", { folder: value.trim(), split: this.split.value.trim() });
      if (value === this.folder.value) this.fields.show(errors, offers);
    } catch {
      return; // segmenting it will say what is in the way
    }
  }

  async useFiles(files) {
    if (!files.length) return;
    const mine = this.begin("Uploading");
    const most = this.config.max_images;
    this.said = files.length > most ? [`You chose ${files.length} files. Only the first ${most} are used.`] : [];
    try {
      const sent = await uploadAll(files.slice(0, most), this.hooks.upload, (text, share) => this.show(text, share), () => mine === this.turn);
      if (sent) this.ask({ source: "files", ...NO_PICTURES, files: sent });
    } catch (error) {
      this.fail([`The upload failed: ${error?.message ?? error}`]);
    }
  }

  ask(changes) {
    this.request = { ...this.request, ...changes };
    this.hooks.onRequest(this.request, "source" in changes || "checkpoint" in changes);
  }

  begin(text) {
    clearTimeout(this.checking);
    say(this.errors, []);
    say(this.remarks, []);
    this.fields.show({});
    this.stop.hidden = this.stop.disabled = true;
    this.show(text, 0);
    return ++this.turn;
  }

  show(text, share) {
    this.busy.hidden = false;
    this.status.textContent = `${text}…`;
    this.bar.value = share;
  }

  fail(sentences) {
    this.busy.hidden = true;
    say(this.errors, sentences);
  }

  /** A refusal stands at the field that it is about, or else with the pictures. */
  refuse(error) {
    this.busy.hidden = true;
    if (!this.fields.refuse(error)) say(this.errors, [error.message]);
  }

  /** A segmentation is there: its pictures need not be sent again. */
  done(result) {
    this.busy.hidden = true;
    this.request.of = result.set;
    if (this.request.source === "folder") this.place.remember();
    say(this.errors, [...(this.said ?? []), ...result.problems]);
    say(this.remarks, result.notes);
    this.said = [];
  }
}
