// The images of a report, the worst first: photo, truth, prediction and where they differ.
import { bytes } from "../shared/codec.js";
import { call } from "../shared/client.js";
import { card, choice, h, newId, select } from "../shared/dom.js";
import { perCent } from "./form.js";
import { NONE, emptyTable, loadPhoto, paint, pixel, readIds } from "../shared/label-view.js";

const KINDS = [["cluster", "Clusters"], ["linear", "Linear probe"]];
const ORDERS = [["worst", "Worst first"], ["best", "Best first"], ["order", "As in the data set"]];

async function inflate(base64) {
  const stream = new Blob([bytes(base64)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

export class ImageBrowser {
  /**
   * shown: the open report, and one beside it that was made on the same images; wanted: {image,
   * kind, order} as `view()` gave them, what makes no sense is as usual; looked(): after each change.
   */
  constructor(server, shown, { wanted = {}, looked = () => {} } = {}) {
    this.server = server;
    this.shown = shown;
    this.looked = looked;
    const [{ report }] = shown;
    const kind = KINDS.some(([key]) => key === wanted.kind) ? wanted.kind : "cluster";
    const order = ORDERS.some(([key]) => key === wanted.order) ? wanted.order : "worst";
    this.look = { kind, crf: 0, opacity: 0.65 }; // crf: the share of a picture, from its left
    this.order = select("Order", ORDERS, order, () => this.sort());
    this.order.field.classList.add("row");
    this.kind = choice("Prediction", KINDS, kind, (one) => this.change({ kind: one }));
    const crfId = newId("crf");
    const crf = shown.every((one) => one.report.crf);
    this.crf = h("input", { id: crfId, type: "range", min: "0", max: "1", step: "0.01", value: "0", disabled: !crf, title: crf ? "From the left up to here with CRF" : "Evaluate with CRF to see it", oninput: () => this.setCrf(Number(this.crf.value)) });
    this.crf.style.setProperty("--share", "0%");
    const opacityId = newId("opacity");
    this.opacity = h("input", { id: opacityId, type: "range", min: "0", max: "1", step: "0.05", value: "0.65", oninput: () => this.setOpacity(Number(this.opacity.value)) });
    this.opacity.style.setProperty("--share", "65%");
    this.list = h("ol", { class: "image-list", "aria-label": "Images" });
    this.panels = h("div", { class: "image-panels" });
    this.readout = h("p", { class: "readout", role: "status" });
    this.problem = h("p", { class: "field-error", role: "alert", hidden: true });
    const step = (by) => () => this.step(by);
    const { card: element, body } = card("Images", { class: "card images", dataset: { ready: "false" } });
    body.append(
      h("div", { class: "tools" }, this.order.field, this.kind.group, h("div", { class: "opacity" }, h("label", { for: crfId }, "CRF"), this.crf), h("div", { class: "opacity" }, h("label", { for: opacityId }, "Opacity"), this.opacity), h("div", { class: "zoom" }, h("button", { type: "button", title: "Image before", "aria-label": "Image before", onclick: step(-1) }, "‹"), h("button", { type: "button", title: "Next image", "aria-label": "Next image", onclick: step(1) }, "›"))),
      h("div", { class: "image-browser" }, this.list, h("div", { class: "image-view" }, this.problem, this.panels, this.readout)),
    );
    this.element = element;
    this.colours = report.colours;
    this.classes = report.classes;
    this.rank();
    const asked = this.images.find((one) => String(one.index) === wanted.image);
    this.open((asked ?? this.images[0]).index);
  }

  /** What is looked at, for a link; empty where it is as usual. */
  view() {
    const { order, look } = this;
    return { image: this.index, kind: look.kind === "cluster" ? "" : look.kind, order: order.input.value === "worst" ? "" : order.input.value };
  }

  measure(one) {
    const scores = this.look.crf > 0 && one.crf ? one.crf : one;
    return scores[this.look.kind].accuracy;
  }

  sort() {
    this.rank();
    const kept = this.order.input.value === "order" && this.images.some((one) => one.index === this.index);
    this.open(kept ? this.index : this.images[0].index);
  }

  /** List the images in their order, with their scores. */
  rank() {
    const rank = { worst: 1, best: -1, order: 0 }[this.order.input.value];
    const images = [...this.shown[0].report.images];
    const known = (one) => this.measure(one) ?? (rank > 0 ? Infinity : -Infinity);
    if (rank) images.sort((a, b) => rank * (known(a) - known(b)));
    this.images = images;
    this.list.replaceChildren(
      ...images.map((one) =>
        h("li", {}, h("button", { type: "button", dataset: { index: String(one.index) }, "aria-current": String(one.index === this.index), onclick: () => this.open(one.index) }, h("span", {}, one.name), h("b", {}, perCent(this.measure(one))))),
      ),
    );
  }

  step(by) {
    const at = this.images.findIndex((one) => one.index === this.index);
    const next = this.images[Math.max(0, Math.min(this.images.length - 1, at + by))];
    if (next.index !== this.index) this.open(next.index);
  }

  setCrf(share) {
    this.crf.style.setProperty("--share", `${100 * share}%`);
    this.change({ crf: share });
  }

  change(changes) {
    const again = changes.crf > 0 && !this.found?.every((one) => one.maps.cluster_crf);
    const scores = () => `${this.look.kind} ${this.look.crf > 0}`;
    const before = scores();
    Object.assign(this.look, changes);
    if (scores() !== before) this.rank();
    this.looked();
    if (again && !this.asking) this.open(this.index);
    else this.draw();
  }

  setOpacity(opacity) {
    this.look.opacity = opacity;
    this.opacity.style.setProperty("--share", `${100 * opacity}%`);
    this.draw();
  }

  async open(index) {
    this.index = index;
    this.looked();
    const mine = (this.turn = (this.turn ?? 0) + 1);
    for (const one of this.list.querySelectorAll("button")) {
      const on = Number(one.dataset.index) === index;
      one.setAttribute("aria-current", String(on));
      if (on) this.list.scrollTop = Math.max(0, one.offsetTop - this.list.offsetTop - 60);
    }
    const crf = this.look.crf > 0;
    this.asking = crf; // a slider that is dragged asks once
    this.element.dataset.ready = "false";
    this.panels.classList.add("waiting");
    try {
      const found = [];
      for (const { key } of this.shown) {
        const reply = await call(this.server, "image", { report: key, index, crf });
        if (mine !== this.turn) return;
        const maps = {};
        for (const [name, packed] of Object.entries(reply.maps)) maps[name] = readIds(await inflate(packed), reply.size ** 2);
        found.push({ size: reply.size, maps, photo: await loadPhoto(reply.photo) });
      }
      if (mine !== this.turn) return;
      this.found = found;
      this.problem.hidden = true;
      this.draw();
      this.element.dataset.ready = "true";
      this.element.dataset.index = String(index);
    } catch (error) {
      if (mine !== this.turn) return;
      this.problem.textContent = error.message;
      this.problem.hidden = false;
    }
    this.asking = false;
    this.panels.classList.remove("waiting");
  }

  draw() {
    if (!this.found) return;
    const name = this.look.kind;
    const two = this.shown.length > 1;
    const cells = [this.panel("Photo", this.found[0], null), this.panel("Truth", this.found[0], "truth")];
    this.found.forEach((one, i) => {
      if (!one.maps[name]) return;
      const title = two ? this.shown[i].title : "Prediction";
      cells.push(this.panel(title, one, name), this.panel(two ? `Wrong in ${title}` : "Wrong", one, name, true));
    });
    this.panels.replaceChildren(...cells);
    this.panels.dataset.kind = this.nameAt(0);
  }

  /** The map that is shown at a share of the width: CRF's reaches from the left to its slider. */
  nameAt(share) {
    const { kind, crf } = this.look;
    const there = this.found?.every((one) => one.maps[`${kind}_crf`]);
    return there && crf > 0 && share <= crf ? `${kind}_crf` : kind;
  }

  /** One canvas: a map over the photo, or in red where it differs from the truth. */
  panel(title, { size, maps, photo }, name, wrong = false) {
    const canvas = h("canvas", { width: size, height: size, role: "img", "aria-label": title });
    const context = canvas.getContext("2d");
    context.drawImage(photo, 0, 0, size, size);
    context.globalAlpha = this.look.opacity;
    const refined = name === "truth" ? null : maps[`${name}_crf`];
    const edge = refined ? Math.round(this.look.crf * size) : 0;
    if (name && edge < size) context.drawImage(this.tint(maps[name], maps.truth, size, name, wrong), edge, 0, size - edge, size, edge, 0, size - edge, size);
    if (edge > 0) {
      context.drawImage(this.tint(refined, maps.truth, size, name, wrong), 0, 0, edge, size, 0, 0, edge, size);
      context.globalAlpha = 1;
      context.fillStyle = "#fff";
      if (edge < size) context.fillRect(edge - 1, 0, 2, size);
    }
    canvas.addEventListener("pointermove", (event) => this.hover(event, canvas, size, maps));
    canvas.addEventListener("pointerleave", () => (this.readout.textContent = ""));
    return h("figure", { class: "segmented" }, canvas, h("figcaption", {}, title));
  }

  /** A map in the colours of its classes, or where it is wrong. */
  tint(map, truth, size, name, wrong) {
    const table = emptyTable();
    const canvas = document.createElement("canvas");
    if (wrong) {
      table[1] = pixel([214, 30, 60], 255);
      table[0] = pixel([12, 16, 26], 190);
      paint(canvas, map.map((id, i) => (truth[i] === NONE ? 2 : Number(id !== truth[i]))), size, size, table);
    } else {
      this.colours.forEach((colour, id) => (table[id] = pixel(colour, 255)));
      if (name !== "truth") table[NONE] = pixel([22, 22, 26], 255);
      paint(canvas, map, size, size, table);
    }
    return canvas;
  }

  hover(event, canvas, size, maps) {
    const box = canvas.getBoundingClientRect();
    const x = Math.min(size - 1, Math.floor(((event.clientX - box.left) / box.width) * size));
    const y = Math.min(size - 1, Math.floor(((event.clientY - box.top) / box.height) * size));
    const name = this.nameAt(x / size);
    const called = (id) => (id === NONE ? "no class" : this.classes[id]);
    const at = y * size + x;
    const said = this.found.map((one, i) => {
      const map = one.maps[name];
      return map ? `${this.shown.length > 1 ? this.shown[i].title : "predicted"}: ${called(map[at])}` : null;
    });
    this.readout.textContent = [`truth: ${called(maps.truth[at])}`, ...said.filter(Boolean)].join("   ");
  }
}
