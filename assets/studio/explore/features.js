// Which features a batch has: of a frozen backbone, of a run at a step, of a checkpoint file, or
// one's own.
import { choice, h, newId, select } from "../shared/dom.js";
import { PathField } from "../shared/path-field.js";
import { OwnPanel } from "./ownfeatures.js";
import { OUTPUTS, RunPanel } from "./runpanel.js";

const KINDS = [
  ["frozen", "Backbone", "A frozen pretrained network, which is what training starts from"],
  ["run", "Run", "One of your runs, at any step it has kept"],
  ["file", "File", "A file on this server: a backbone's weights or a training checkpoint, published ones included"],
  ["own", "NPZ", "Features of any network, in an NPZ file"],
];
const OWN = ["npz", "memory"];
const NONE = { backbone: "", checkpoint: "", run: "", at: 0, output: "" };

/** Of which kind the features of a request are. */
const kindOf = ({ backbone }) => (backbone === "run" ? "run" : backbone === "checkpoint" ? "file" : OWN.includes(backbone) ? "own" : "frozen");

export class FeatureChooser {
  /**
   * on: {change(fields): load these; images?(request): open a run on its own images; own?({npz} or
   * {files}): load features of one's own, which are not offered without}. errors: a FieldErrors for
   * what is refused, or null.
   */
  constructor(server, config, on, errors = null) {
    Object.assign(this, { server, config, on });
    this.request = { ...NONE, backbone: config.backbone };
    const kinds = KINDS.filter(([kind]) => kind !== "own" || on.own);
    this.kind = choice("Features", kinds, "frozen", (kind) => this.open(kind));
    this.pending = h("p", { class: "help pending", role: "status", hidden: true });
    this.run = new RunPanel(server, { change: (fields) => this.change(fields), images: on.images });
    this.own = on.own && new OwnPanel(server, on.own);
    this.panels = { frozen: this.frozenPanel(errors), run: this.run.element, file: this.filePanel(errors), ...(this.own && { own: this.own.element }) };
    if (errors) {
      this.run.list.field.append(errors.add("run", this.run.list.input));
      this.run.stages.append(errors.add("at", this.run.slider));
      this.own.place.element.after(errors.add("npz", this.own.path));
    }
    const label = h("span", { class: "label", "aria-hidden": "true" }, "Features");
    this.element = h("div", { class: "features" }, h("div", { class: "field" }, label, this.kind.group), this.pending, Object.values(this.panels));
    this.show("frozen");
  }

  frozenPanel(errors) {
    const { config } = this;
    this.backbone = select("Backbone", [...config.backbones.map((b) => [b.name, b.title]), ["other", "Another timm ViT…"]], config.backbone, (name) => this.chooseBackbone(name));
    const id = newId("other");
    this.other = h("input", { id, type: "text", autocomplete: "off", spellcheck: "false" });
    this.otherForm = form(() => this.useOther(this.other.value.trim()), h("label", { for: id }, "Name"), h("div", { class: "inline" }, this.other, h("button", { type: "submit" }, "Use")));
    this.otherForm.hidden = true;
    const typed = { value: () => this.other.value || this.backbone.input.value, use: (offer) => this.useOther(offer) };
    return h("div", { class: "feature-panel" }, this.backbone.field, this.otherForm, errors?.add("backbone", this.other, typed));
  }

  filePanel(errors) {
    const id = newId("checkpoint");
    this.file = h("input", { id, type: "text", placeholder: "or NAME@PATH, e.g. dinov2_vits14@/weights/x.pth" });
    this.place = new PathField(this.server, this.file, { want: "backbone", chosen: () => this.useFile() });
    this.output = choice("Output of a training checkpoint", [...OUTPUTS, ["frozen", "Frozen", "The frozen backbone that training started from"]], "backbone", () => this.file.value.trim() && this.useFile());
    const use = { use: (offer) => this.useFile(offer) };
    return form(
      () => this.useFile(),
      h("div", { class: "field" }, h("label", { for: id }, "Path of the file on this server"), this.place.element, errors?.add("checkpoint", this.file, use)),
      h("div", { class: "field" }, h("span", { class: "label", "aria-hidden": "true" }, "Output, for a training checkpoint"), this.output.group),
      h("div", { class: "inline" }, h("button", { type: "submit" }, "Use")),
    );
  }

  chooseBackbone(name) {
    this.otherForm.hidden = name !== "other";
    if (name !== "other") return this.change({ backbone: name });
    this.other.value = "";
    this.other.focus();
    this.wait("Enter the name of a ViT in timm.");
  }

  useOther(name) {
    if (!name) return;
    this.other.value = name;
    this.change({ backbone: name });
  }

  useFile(path = this.file.value.trim()) {
    if (!path) return;
    this.file.value = path;
    const output = this.output.group.querySelector("[aria-checked=true]").dataset.value;
    this.change({ backbone: "checkpoint", checkpoint: path, output });
  }

  change(fields) {
    this.wanted = { ...NONE, ...fields };
    this.wait("Not loaded yet.");
    this.on.change(this.wanted);
  }

  /** Another kind is to be chosen; what is on screen stays until something is. */
  open(kind) {
    this.show(kind);
    if (kind === "run") this.run.look();
    if (kind === kindOf(this.request)) this.set(this.request, this.training);
    else if (kind === "frozen" && this.config.backbones.some(({ name }) => name === this.backbone.input.value)) this.change({ backbone: this.backbone.input.value });
    else this.wait({ frozen: "Choose a backbone.", run: "Choose a run.", file: "Choose a file.", own: "Choose an NPZ file." }[kind]);
  }

  show(kind) {
    this.kind.set(kind);
    for (const [name, panel] of Object.entries(this.panels)) panel.hidden = name !== kind;
  }

  /** Say what is missing until the controls say what is on screen again. */
  wait(text) {
    this.pending.hidden = false;
    this.pending.textContent = this.title ? `${text} On screen: ${this.title}.` : text;
  }

  /** What the controls ask for. */
  value() {
    return this.wanted ?? this.fields(this.request);
  }

  fields = (request) => Object.fromEntries(Object.keys(NONE).map((name) => [name, request[name] ?? NONE[name]]));

  /** Show what is on screen: a recipe; steps: what its run has kept; title: what it is called. */
  set(request, steps = this.steps, title = this.title) {
    Object.assign(this, { request: { ...this.request, ...request }, steps, title, wanted: null });
    const kind = kindOf(request);
    this.show(kind);
    this.pending.hidden = true;
    if (kind === "run") this.run.set(request, steps);
    if (kind === "own") this.own?.set(request, title);
    if (kind === "file") {
      this.file.value = request.checkpoint ?? "";
      if (request.output) this.output.set(request.output);
    }
    if (kind !== "frozen") return;
    const known = this.config.backbones.some(({ name }) => name === request.backbone);
    this.backbone.input.value = known ? request.backbone : "other";
    this.otherForm.hidden = known;
    if (!known) this.other.value = request.backbone;
  }

  /** Loading failed: what was typed stays to be mended, what was chosen goes back. */
  failed() {
    const open = Object.entries(this.panels).find(([, panel]) => !panel.hidden)[0];
    const typed = open === "file" || open === "own" || (open === "frozen" && !this.otherForm.hidden);
    if (!typed) this.set(this.request);
    else this.wait("Not loaded.");
    this.wanted = null;
  }

  /** What a request must have that takes other images than these. */
  static forOtherImages(request, config) {
    return OWN.includes(request.backbone) ? { backbone: config.backbone, output: "" } : {};
  }
}

/** A panel that is sent as a form. */
function form(send, ...children) {
  const act = (event) => {
    event.preventDefault();
    send();
  };
  return h("form", { class: "feature-panel", novalidate: true, onsubmit: act }, children);
}
