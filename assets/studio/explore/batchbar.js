// Which images are looked at: the sample photos, own files, a folder on the server; their size and
// the backbone that embeds them.
import { Refused, call, follow, latestOnly } from "../shared/client.js";
import { choice, count, h, newId } from "../shared/dom.js";
import { fileDrop, uploadAll } from "../shared/drop.js";
import { FieldErrors } from "../shared/fields.js";
import { errorBox, noteBox, say } from "../shared/messages.js";
import { PathField } from "../shared/path-field.js";
import { FeatureChooser } from "./features.js";
import { SizeChooser } from "./sizes.js";
import { patchCount } from "./tiles.js";

const CHECK_AFTER_MS = 300;
const GIVEN = ["npz", "memory"]; // images that came with their features: there is no size to choose
const SOURCES = [
  ["samples", "Sample photos"],
  ["files", "Your images"],
  ["folder", "Folder"],
];

/** As a number where it is one; anything else goes as it is, so that the server can say what is wrong. */
const wholeNumber = (text) => (/^\d{1,9}$/.test(text) ? Number(text) : text);

export class BatchBar {
  /** config: the server's lists; hooks: {onBatch(batch), upload(file) → {path}}. */
  constructor(server, config, hooks) {
    this.server = server;
    this.config = config;
    this.hooks = hooks;
    this.turn = 0;
    this.notice = []; // said with the next batch
    this.fields = new FieldErrors();
    this.ask = latestOnly(() => this.check());
    this.request = { source: "samples", size: 448, backbone: config.backbone, checkpoint: "" };
    this.build();
  }

  build() {
    const { config } = this;
    this.source = choice("Images", SOURCES, "samples", (key) => this.chooseSource(key));
    this.sizes = new SizeChooser(this.server, config, { change: (fields) => this.reload(fields) });
    this.features = new FeatureChooser(
      this.server,
      config,
      { change: (fields) => this.useFeatures(fields), images: (wanted) => this.openRun(wanted), own: (given) => this.useOwn(given) },
      this.fields,
    );
    this.note = h("p", { class: "help backbone-note" });
    this.summary = h("p", { class: "summary", dataset: { part: "summary" } });
    this.status = h("p", { class: "status", role: "status" });
    this.bar = h("progress", { max: 1, value: 0, "aria-label": "Loading" });
    this.stop = h("button", { type: "button", class: "quiet", onclick: () => this.cancel() }, "Cancel");
    this.busy = h("div", { class: "busy", hidden: true }, this.status, this.stop, this.bar);
    this.errors = errorBox();
    this.remarks = noteBox();
    this.element = h(
      "section",
      { class: "card batch", "aria-label": "Batch" },
      h("header", {}, h("h2", {}, "Batch")),
      h("div", { class: "card-body" }, this.source.group, this.filesPanel(), this.folderPanel(), this.sizes.element, this.features.element, this.note, this.summary, this.busy, this.errors, this.remarks),
    );
    this.chooseSource("samples", false);
  }

  filesPanel() {
    const { element } = fileDrop(this.config.max_images, (files) => this.useFiles(files));
    this.filesBox = element;
    return element;
  }

  folderPanel() {
    const { config } = this;
    const id = newId("folder");
    this.folder = h("input", { id, type: "text", value: config.folders[0] ?? "" });
    this.splits = h("datalist", { id: `${id}-splits` });
    this.split = h("input", { id: `${id}-split`, type: "text", list: this.splits.id, value: "train", spellcheck: "false", autocomplete: "off" });
    this.place = new PathField(this.server, this.folder, { about: true, chosen: () => this.submit.focus(), seen: (look) => this.splits.replaceChildren(...(look?.splits ?? []).map(([name]) => h("option", { value: name }))) });
    this.number = h("input", { id: `${id}-count`, type: "text", inputmode: "numeric", autocomplete: "off", value: "8" });
    // What is typed but not loaded stays where only something else of the batch changes.
    this.typed = new Set();
    for (const input of [this.folder, this.split, this.number]) input.addEventListener("input", () => this.typed.add(input));
    this.again = h("button", { type: "button", onclick: () => this.loadFolder(1) }, "Another batch");
    this.submit = h("button", { type: "submit", class: "primary" }, "Load");
    this.folderBox = h(
      "form",
      {
        class: "source-panel",
        novalidate: true, // the server says what is wrong, in words
        onsubmit: (event) => {
          event.preventDefault();
          this.seed = 0;
          this.loadFolder(0);
        },
        oninput: () => this.changed(),
      },
      h("div", { class: "field" }, h("label", { for: id }, "Folder or data set on this server"), this.place.element, this.fields.add("folder", this.folder)),
      h(
        "div",
        { class: "pair" },
        h("div", { class: "field" }, h("label", { for: `${id}-split` }, "Split"), this.split, this.splits),
        h("div", { class: "field" }, h("label", { for: `${id}-count` }, "Images"), this.number),
      ),
      this.fields.add("split", this.split),
      this.fields.add("count", this.number),
      h("div", { class: "inline" }, this.submit, this.again),
    );
    this.seed = 0;
    return this.folderBox;
  }

  chooseSource(key, load = true) {
    this.filesBox.hidden = key !== "files";
    this.folderBox.hidden = key !== "folder";
    this.sizes.element.hidden = GIVEN.includes(key);
    if (key === "samples" && load) this.reload({ source: "samples", ...FeatureChooser.forOtherImages(this.request, this.config) });
  }

  async useFiles(files) {
    if (!files.length) return;
    const mine = this.begin("Uploading");
    const most = this.config.max_images;
    const said = files.length > most ? [`You chose ${files.length} files. Only the first ${most} are used, because a batch holds at most ${most}.`] : [];
    const kept = files.slice(0, most);
    try {
      const sent = await uploadAll(kept, this.hooks.upload, (text, share) => this.show(text, share), () => mine === this.turn);
      if (!sent) return;
      await this.load({ ...this.request, source: "files", files: sent, of: undefined, ...FeatureChooser.forOtherImages(this.request, this.config) }, said);
    } catch (error) {
      this.fail([...said, `The upload failed: ${error?.message ?? error}`]);
    }
  }

  loadFolder(step) {
    this.seed += step;
    this.fields.sent = true;
    return this.load({ ...this.request, ...this.wanted() });
  }

  /** What the folder's form asks for. */
  wanted() {
    return {
      source: "folder",
      ...FeatureChooser.forOtherImages(this.request, this.config),
      folder: this.folder.value.trim(),
      kind: undefined, // a run's own images say it; a folder tells it
      split: this.split.value.trim(),
      count: wholeNumber(this.number.value.trim()),
      seed: this.seed,
      images: undefined, // of a study: from now on the next ones
    };
  }

  changed() {
    clearTimeout(this.checking);
    this.checking = setTimeout(() => this.ask(), CHECK_AFTER_MS);
  }

  /** What is wrong with the folder is said at its field while it is typed. */
  async check() {
    try {
      const { errors, offers } = await call(this.server, "check", { ...this.wanted(), size: this.request.size });
      this.fields.show(errors, offers);
    } catch {
      return; // loading will say what is in the way
    }
  }

  /** Whether a request is what is on screen. */
  holds(request) {
    const said = (value) => JSON.stringify(value || ""); // what is left out, and what is empty
    return Object.entries(request).every(([name, value]) => said(this.request[name]) === said(value));
  }

  /** The same images with other features: nothing is read again. */
  useFeatures(fields) {
    const same = { ...this.request, ...fields };
    return this.load(this.shown ? { ...same, like: this.shown } : same, [], true);
  }

  /** A run on its own images; returns what is in the way. */
  async openRun(wanted) {
    this.begin("Looking for the run's images");
    try {
      const { request } = await call(this.server, "run_images", wanted);
      return (await this.load({ ...request, page: this.config.page })) ? "" : this.failure;
    } catch (error) {
      this.fail([], error);
      return error.message;
    }
  }

  /** Features of one's own: {npz: path} or {files: [File]}. */
  async useOwn({ npz, files }) {
    const mine = this.begin("Uploading");
    try {
      const sent = files && (await uploadAll(files.slice(0, 1), this.hooks.upload, (text, share) => this.show(text, share), () => mine === this.turn));
      if (files && !sent) return;
      await this.load({ source: "npz", npz, files: sent, of: undefined, size: this.request.size, backbone: "npz" });
    } catch (error) {
      this.fail([`The upload failed: ${error?.message ?? error}`]);
    }
  }

  /** The same images in another way. */
  reload(changes) {
    return this.load({ ...this.request, ...changes }, [], true);
  }

  begin(text) {
    clearTimeout(this.checking);
    this.say([], []);
    this.fields.show({});
    this.failure = "";
    this.show(text, 0);
    this.job = null;
    return ++this.turn;
  }

  show(text, share) {
    this.busy.hidden = false;
    this.status.textContent = `${text}…`;
    this.bar.value = share;
  }

  /** Show what went wrong, and what is only worth knowing. */
  say(problems, notes) {
    say(this.errors, problems);
    say(this.remarks, notes);
  }

  /** error: a refusal that may belong to a field. */
  fail(sentences, error = null) {
    this.busy.hidden = true;
    this.failure = error?.message ?? sentences.join(" ");
    const elsewhere = error && !(this.isShown(error.field) && (this.fields.refuse(error) || this.sizes.fields.refuse(error)));
    this.say(elsewhere ? [...sentences, this.failure] : sentences, []);
    // The batch stays, and so does what was typed: a name with a slip in it is mended, not retyped.
    if (elsewhere || error?.field !== "size") this.sizes.set(this.request);
    this.features.failed();
  }

  /** Whether the field that a refusal is about can be seen. */
  isShown(field) {
    return ["folder", "split", "count"].includes(field) ? !this.folderBox.hidden : true;
  }

  /** Load a batch; on failure the batch that is shown stays. Returns whether it worked. */
  async load(request, said = [], same = false) {
    const mine = this.begin("Loading");
    try {
      const batch = await follow(
        this.server,
        { page: this.config.page, ...request },
        (text, share, _, job) => {
          this.job = job;
          this.show(text, share);
        },
        () => mine === this.turn,
      );
      if (!batch || mine !== this.turn) return false;
      if (!same) this.typed.clear();
      this.adopt({ ...request, ...batch.recipe, files: request.files, like: undefined }, batch);
      await this.hooks.onBatch(batch);
      if (mine !== this.turn) return true;
      this.say([...said, ...batch.problems], [...this.notice, ...batch.notes]);
      this.notice = [];
      this.busy.hidden = true;
      if (request.source === "folder") this.place.remember();
      return true;
    } catch (error) {
      if (mine === this.turn) this.fail(said, error instanceof Refused ? error : new Refused({ error: String(error) }));
      return false;
    }
  }

  /** Give up what is being loaded; the batch that is shown stays. */
  async cancel() {
    const { job } = this;
    this.turn += 1;
    this.job = null;
    this.busy.hidden = true;
    this.adopt(this.request);
    this.say([], ["Loading was cancelled."]);
    if (job) await call(this.server, "cancel", job).catch(() => {}); // it may be done by now
  }

  /** Make the controls show the request that is on screen. */
  adopt(request, batch = null) {
    this.request = request;
    if (batch) this.shown = batch.batch;
    this.source.set(request.source);
    this.chooseSource(request.source, false);
    this.sizes.set(request);
    this.features.set(request, batch?.steps, batch?.backbone_title);
    if (request.source === "folder") {
      const adopted = [[this.folder, request.folder], [this.split, request.split], [this.number, String(request.count)]];
      for (const [input, value] of adopted) if (!this.typed.has(input)) input.value = value;
      this.seed = request.seed;
    }
  }

  describe(batch) {
    this.note.textContent = batch.backbone_note;
    const images = batch.names.length === 1 ? "1 image" : `${batch.names.length} images`;
    const [rows, columns] = batch.grids[0];
    const alike = batch.grids.every((grid) => grid[0] === rows && grid[1] === columns);
    const each = alike ? ` (${rows} × ${columns} each)` : "";
    const seen = GIVEN.includes(batch.recipe.source) ? "" : batch.recipe.picture === "whole" ? "Each image is shown whole." : "Each image is cropped to its central square.";
    this.summary.textContent = `${images}, ${count(patchCount(batch))} patches${each}, ${batch.dimensions} dimensions. ${seen}`;
    this.sizes.priceFor(batch.recipe, batch.names.length);
  }

  /** The batch that is on screen by its id: for links to uploads that are still in memory. */
  async restore(key) {
    const batch = await call(this.server, "recall", key);
    // The page never learns where the files are: it asks for "those of that batch".
    this.adopt({ ...this.request, ...batch.recipe, files: undefined, of: key }, batch);
    await this.hooks.onBatch(batch);
  }
}
