// Features of one's own: an NPZ from this computer or on the server, or what a script has given.
import { h, newId } from "../shared/dom.js";
import { fileDrop } from "../shared/drop.js";
import { PathField } from "../shared/path-field.js";

export class OwnPanel {
  /** load({npz: path} or {files: [File]}). */
  constructor(server, load) {
    this.load = load;
    const words = { title: "Drop an NPZ file here", hint: "or choose a file", accept: ".npz" };
    const drop = fileDrop(1, (files) => files.length && load({ files }), words);
    const id = newId("npz");
    this.path = h("input", { id, type: "text" });
    this.place = new PathField(server, this.path, { want: "features", chosen: () => this.send() });
    this.given = h("p", { class: "help", hidden: true });
    const act = (event) => {
      event.preventDefault();
      this.send();
    };
    this.element = h(
      "form",
      { class: "feature-panel", novalidate: true, onsubmit: act },
      this.given,
      drop.element,
      h("div", { class: "field" }, h("label", { for: id }, "Or enter its path on this server"), this.place.element),
      h("div", { class: "inline" }, h("button", { type: "submit" }, "Use")),
      h(
        "details",
        { class: "more" },
        h("summary", {}, "What the file must contain"),
        h("p", { class: "help" }, h("code", {}, "features (B, h, w, D)"), " and, optionally, ", h("code", {}, "images (B, H, W, 3)"), ", ", h("code", {}, "labels (B, h, w)"), " or ", h("code", {}, "(B, H, W)"), ", ", h("code", {}, "classes"), ". If the images' grids differ: ", h("code", {}, "features_0, features_1"), " and so on."),
      ),
    );
  }

  send() {
    const npz = this.path.value.trim();
    if (npz) this.load({ npz });
  }

  /** Show what is on screen. */
  set(request, title) {
    if (request.npz) this.path.value = request.npz;
    this.given.hidden = !title;
    this.given.textContent = request.backbone === "memory" ? "Features passed in by a script." : `On screen: ${title}.`;
  }
}
