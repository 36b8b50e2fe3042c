// What is segmented, and with what: pictures, frozen backbone or checkpoint, clusters, CRF.
import { runOptions, takeCheckpoint } from "../shared/checkpoints.js";
import { call } from "../shared/client.js";
import { choice, h, newId, relist, select } from "../shared/dom.js";
import { fileDrop, uploadAll } from "../shared/drop.js";
import { FieldErrors } from "../shared/fields.js";
import { Kept } from "../shared/keep.js";
import { errorBox, fieldError, noteBox, say, tell } from "../shared/messages.js";
import { PathField } from "../shared/path-field.js";

const FROZEN = "frozen";
const FILE = "file";
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
      crf: false,
    };
    this.status = h("p", { class: "status", role: "status" });
    this.bar = h("progress", { max: 1, value: 0, "aria-label": "Segmenting" });
    this.stop = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => this.hooks.stop() }, "Cancel");
    this.busy = h("div", { class: "busy", hidden: true }, h("div", { class: "inline" }, this.status, this.stop), this.bar);
    this.errors = errorBox();
    this.fields = new FieldErrors();
    this.remarks = noteBox();
    this.element = h("div", { class: "side" }, this.pictures(), this.model());
    this.kept = new Kept();
    for (const name of ["folder", "split", "path"]) this.kept.add(name, this[name]);
    this.element.addEventListener("input", () => hooks.typed());
    this.showModel();
  }

  /** Make the controls say what a request asks for. */
  adopt(request) {
    this.request = request;
    const { source, folder, split, size, backbone, clusters, checkpoint, crf } = request;
    this.source.set(source);
    this.filesBox.hidden = source !== "files";
    this.folderBox.hidden = source !== "folder";
    if (source === "folder") Object.assign(this.folder, { value: folder });
    if (source === "folder") Object.assign(this.split, { value: split });
    this.with.input.value = checkpoint === null ? FROZEN : checkpoint.run ? JSON.stringify([checkpoint.run, checkpoint.which]) : FILE;
    if (checkpoint?.file) this.path.value = checkpoint.file;
    this.size.set(size);
    this.backbone.input.value = backbone;
    this.number.value = this.slider.value = String(clusters);
    this.fill();
    this.crf.checked = crf;
    this.showModel();
  }

  pictures() {
    this.source = choice("Pictures", [["samples", "Sample photos"], ["files", "Your images"], ["folder", "Folder"]], "samples", (key) => {
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
      { class: "card", "aria-label": "Pictures" },
      h("header", {}, h("h2", {}, "Pictures")),
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

  model() {
    const { config } = this;
    this.with = select("Segment with", this.options(), FROZEN, (key) => this.choose(key));
    const pathId = newId("checkpoint");
    this.path = h("input", { id: pathId, type: "text" });
    this.pathPlace = new PathField(this.server, this.path, { want: "checkpoint", chosen: (path) => this.usePath(path) });
    this.file = h(
      "form",
      { class: "field", hidden: true, onsubmit: (event) => this.useFile(event) },
      h("label", { for: pathId }, "Path of the file on this server"),
      this.pathPlace.element,
      h("div", { class: "inline" }, h("button", { type: "submit" }, "Use")),
    );
    const clustersId = newId("clusters");
    this.number = h("input", { id: clustersId, type: "number", min: "2", max: String(config.most_clusters), value: String(config.clusters), dataset: { part: "clusters" }, onchange: () => this.setClusters(this.number.value) });
    this.slider = h("input", { type: "range", min: "2", max: "32", value: String(config.clusters), "aria-label": "Number of clusters, slider", oninput: () => (this.number.value = this.slider.value), onchange: () => this.setClusters(this.slider.value) });
    this.size = choice("Resolution", config.sizes.map((size) => [size, `${size} px`]), 448, (size) => this.ask({ size }));
    this.backbone = select("Backbone", config.backbones.map((b) => [b.name, b.title]), config.backbone, (backbone) => this.ask({ backbone }));
    this.frozen = h(
      "div",
      { class: "source-panel" },
      h("div", { class: "field" }, h("label", { for: clustersId }, "Clusters"), h("div", { class: "inline clusters" }, this.slider, this.number), this.fields.add("clusters", this.number)),
      h("div", { class: "field" }, h("span", { class: "label" }, "Resolution"), this.size.group),
      this.backbone.field,
      this.fields.add("backbone", this.backbone.input),
    );
    const crfId = newId("crf");
    this.crf = h("input", { id: crfId, type: "checkbox", disabled: Boolean(config.crf), onchange: () => this.ask({ crf: this.crf.checked }) });
    this.help = h("p", { class: "help" });
    return h(
      "section",
      { class: "card batch", "aria-label": "Model" },
      h("header", {}, h("h2", {}, "Model")),
      h(
        "div",
        { class: "card-body" },
        this.with.field,
        this.file,
        this.fields.add("checkpoint", this.path, { value: () => this.path.value || this.with.input.value, use: (offer) => (this.with.input.value === FILE ? this.usePath(offer) : this.takeRun(offer)) }),
        this.frozen,
        h("label", { class: "check", for: crfId }, this.crf, "CRF: borders follow the colours"),
        h("p", { class: "help" }, config.crf ?? ""),
        this.help,
        this.maker(),
      ),
    );
  }

  options() {
    const runs = runOptions(this.config.checkpoints);
    return [
      [FROZEN, "Frozen backbone, no checkpoint"],
      ...(runs.length ? [{ group: "Runs", options: runs }] : []),
      ...(this.config.files ? [[FILE, "Checkpoint file…"]] : []),
    ];
  }

  /** A checkpoint made here, for whoever has none. */
  maker() {
    this.makeText = h("p", { class: "help", role: "status" }, "Trains on the sample photos, a minute or two on two cores. The result is a run like any other.");
    this.makeBar = h("progress", { max: 1, value: 0, hidden: true, "aria-label": "Training" });
    this.makeButton = h("button", { type: "button", onclick: () => this.make() }, "Make a checkpoint from the sample photos");
    this.makeError = fieldError("make");
    return h("div", { class: "source-panel maker", hidden: !this.config.make }, this.makeButton, this.makeBar, this.makeText, this.makeError);
  }

  async make() {
    this.makeButton.disabled = true;
    this.makeBar.hidden = false;
    tell(this.makeError, "");
    try {
      let found = await call(this.server, "make", null);
      while (["queued", "running", "stopping"].includes(found.state)) {
        this.makeBar.value = found.share;
        const left = found.time_left ? `, about ${Math.max(1, Math.round(found.time_left / 60))} min left` : "";
        this.makeText.textContent = found.state === "queued" ? `${found.name} waits for another run.` : `Training ${found.name}: ${Math.round(100 * found.share)} %${left}. You may leave this page.`;
        await new Promise((resolve) => setTimeout(resolve, 1500));
        found = await call(this.server, "making", found.name);
      }
      const said = `${found.name} ${found.state}. ${found.text}`.trim();
      if (found.state === "failed") throw new Error(said);
      this.makeText.textContent = said;
      if (found.state === "finished") this.useMade(found);
    } catch (error) {
      this.makeText.textContent = "";
      tell(this.makeError, error.message);
    }
    this.makeButton.disabled = false;
    this.makeBar.hidden = true;
  }

  useMade({ name, checkpoints }) {
    this.config.checkpoints = checkpoints;
    this.makeText.textContent = `${name} is ready.`;
    relist(this.with.input, this.options());
    this.with.input.value = JSON.stringify([name, "reported"]);
    this.choose(this.with.input.value);
  }

  /** Show the checkpoints that there are now; what is chosen stays. */
  async refresh() {
    try {
      this.config.checkpoints = (await call(this.server, "hello", null)).checkpoints;
    } catch {
      return; // the next visit asks again
    }
    relist(this.with.input, this.options());
  }

  /** Segment with a run's checkpoint; returns what is in the way. */
  async takeRun(name) {
    await this.refresh();
    const refused = takeCheckpoint(this.with.input, this.config.checkpoints, name);
    if (refused) return refused;
    this.choose(this.with.input.value);
    return "";
  }

  choose(key) {
    this.showModel();
    if (key === FILE) this.path.focus();
    else if (key === FROZEN) this.ask({ checkpoint: null });
    else {
      const [run, which] = JSON.parse(key);
      this.ask({ checkpoint: { run, which } });
    }
  }

  showModel() {
    const key = this.with.input.value;
    this.file.hidden = key !== FILE;
    this.frozen.hidden = key !== FROZEN;
    this.help.textContent =
      key === FROZEN ? "Nothing is trained: patches of all pictures together are gathered into clusters by their frozen features." : "The checkpoint's two probes: clusters found without labels, and linear classes learnt with them.";
  }

  useFile(event) {
    event.preventDefault();
    this.usePath(this.path.value.trim());
  }

  usePath(file) {
    this.with.input.value = FILE;
    this.showModel();
    this.path.value = file;
    this.ask({ checkpoint: { file } });
  }

  setClusters(text) {
    const clusters = Number(text);
    const most = this.config.most_clusters;
    const fine = Number.isInteger(clusters) && clusters >= 2 && clusters <= most && text !== "";
    this.fields.sent = true;
    this.fields.show(fine ? {} : { clusters: `The number of clusters must be a whole number from 2 to ${most}.` });
    if (!fine) return;
    this.number.value = String(clusters);
    this.slider.value = String(clusters);
    this.fill();
    this.ask({ clusters });
  }

  fill() {
    const [low, high] = [Number(this.slider.min), Number(this.slider.max)];
    this.slider.style.setProperty("--share", `${(100 * (Number(this.slider.value) - low)) / (high - low)}%`);
  }

  async useFiles(files) {
    if (!files.length) return;
    const mine = this.begin("Uploading");
    const most = this.config.max_images;
    this.said = files.length > most ? [`${files.length} files were chosen. The first ${most} are used.`] : [];
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
