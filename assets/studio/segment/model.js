// What segments: the frozen backbone's clusters, or a checkpoint; and how.
import { runOptions, takeCheckpoint } from "../shared/checkpoints.js";
import { call } from "../shared/client.js";
import { choice, h, newId, relist, select } from "../shared/dom.js";
import { PathField } from "../shared/path-field.js";
import { Maker } from "./maker.js";
import { SwitchFields } from "./switches.js";

const FROZEN = "frozen";
const FILE = "file";

export class SegmentModel {
  /** errors: of the fields; on: {request(), ask(changes)}. */
  constructor(server, config, errors, on) {
    Object.assign(this, { server, config, errors, on });
    this.maker = new Maker(server, config, (found) => this.useMade(found));
    this.switches = new SwitchFields(errors, config.crf, (changes) => on.ask(changes));
    this.element = this.card();
    this.show();
  }

  /** Make the controls say what a request asks for. */
  adopt(request) {
    const { size, backbone, clusters, checkpoint } = request;
    this.with.input.value = checkpoint === null ? FROZEN : checkpoint.run ? JSON.stringify([checkpoint.run, checkpoint.which]) : FILE;
    if (checkpoint?.file) this.path.value = checkpoint.file;
    this.size.set(size);
    this.backbone.input.value = backbone;
    this.number.value = this.slider.value = String(clusters);
    this.fill();
    this.switches.adopt(request);
    this.show();
  }

  card() {
    const { config } = this;
    this.with = select("Segment with", this.options(), FROZEN, (key) => this.choose(key));
    const pathId = newId("checkpoint");
    this.path = h("input", { id: pathId, type: "text" });
    this.pathPlace = new PathField(this.server, this.path, { want: "checkpoint", chosen: (path) => this.usePath(path) });
    this.file = h(
      "form",
      { class: "field", hidden: true, onsubmit: (event) => this.useFile(event) },
      h("label", { for: pathId }, "Checkpoint file on this server"),
      this.pathPlace.element,
      h("div", { class: "inline" }, h("button", { type: "submit" }, "Use")),
    );
    const clustersId = newId("clusters");
    this.number = h("input", { id: clustersId, type: "number", min: "2", max: String(config.most_clusters), value: String(config.clusters), dataset: { part: "clusters" }, onchange: () => this.setClusters(this.number.value) });
    this.slider = h("input", { type: "range", min: "2", max: "32", value: String(config.clusters), "aria-label": "Number of clusters, slider", oninput: () => (this.number.value = this.slider.value), onchange: () => this.setClusters(this.slider.value) });
    this.size = choice("Resolution", config.sizes.map((size) => [size, `${size} px`]), 448, (size) => this.on.ask({ size }));
    this.backbone = select("Backbone", config.backbones.map((b) => [b.name, b.title]), config.backbone, (backbone) => this.on.ask({ backbone }));
    this.frozen = h(
      "div",
      { class: "source-panel" },
      h("div", { class: "field" }, h("label", { for: clustersId }, "Clusters"), h("div", { class: "inline clusters" }, this.slider, this.number), this.errors.add("clusters", this.number)),
      h("div", { class: "field" }, h("span", { class: "label" }, "Resolution"), this.size.group),
      this.backbone.field,
      this.errors.add("backbone", this.backbone.input),
    );
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
        this.errors.add("checkpoint", this.path, { value: () => this.path.value || this.with.input.value, use: (offer) => (this.with.input.value === FILE ? this.usePath(offer) : this.takeRun(offer)) }),
        this.frozen,
        this.help,
        this.switches.elements,
        this.maker.element,
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

  useMade({ name, checkpoints }) {
    this.config.checkpoints = checkpoints;
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
    this.show();
    if (key === FILE) this.path.focus();
    else if (key === FROZEN) this.on.ask({ checkpoint: null });
    else {
      const [run, which] = JSON.parse(key);
      this.on.ask({ checkpoint: { run, which } });
    }
  }

  show() {
    const key = this.with.input.value;
    this.file.hidden = key !== FILE;
    this.frozen.hidden = key !== FROZEN;
    this.help.textContent =
      key === FROZEN ? "No training: the patches of all images together are clustered by their frozen features." : "The checkpoint has two probes: clusters, learnt without labels, and a linear classifier, learnt with labels.";
  }

  useFile(event) {
    event.preventDefault();
    this.usePath(this.path.value.trim());
  }

  usePath(file) {
    this.with.input.value = FILE;
    this.show();
    this.path.value = file;
    this.on.ask({ checkpoint: { file } });
  }

  setClusters(text) {
    const clusters = Number(text);
    const most = this.config.most_clusters;
    const fine = Number.isInteger(clusters) && clusters >= 2 && clusters <= most && text !== "";
    this.errors.sent = true;
    this.errors.show(fine ? {} : { clusters: `The number of clusters must be a whole number from 2 to ${most}.` });
    if (!fine) return;
    this.number.value = String(clusters);
    this.slider.value = String(clusters);
    this.fill();
    this.on.ask({ clusters });
  }

  fill() {
    const [low, high] = [Number(this.slider.min), Number(this.slider.max)];
    this.slider.style.setProperty("--share", `${(100 * (Number(this.slider.value) - low)) / (high - low)}%`);
  }
}
