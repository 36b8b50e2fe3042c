// The images of a report, the worst first: photo, truth, prediction and where they differ.
import { bytes } from "./codec.js";
import { call } from "./client.js";
import { card, choice, h, newId, select } from "./dom.js";
import { perCent } from "./evaluate-form.js";
import { loadPhoto, paint, pixel } from "./segment-view.js";

const NONE = 255;
const ORDERS = [["worst", "Worst first"], ["best", "Best first"], ["order", "As in the data set"]];

async function inflate(base64) {
  const stream = new Blob([bytes(base64)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export class ImageBrowser {
  /** shown: the open report, and one beside it that was made on the same images. */
  constructor(server, shown) {
    this.server = server;
    this.shown = shown;
    const [{ report }] = shown;
    this.look = { kind: "cluster", crf: false, opacity: 0.65 };
    this.order = select("Order", ORDERS, "worst", () => this.sort());
    this.order.field.classList.add("row");
    this.kind = choice("Prediction", [["cluster", "Clusters"], ["linear", "Linear probe"]], "cluster", (kind) => this.change({ kind }));
    const crfId = newId("crf");
    const crf = shown.every((one) => one.report.crf);
    this.crf = h("input", { id: crfId, type: "checkbox", disabled: !crf, onchange: () => this.change({ crf: this.crf.checked }) });
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
      h("div", { class: "tools" }, this.order.field, this.kind.group, h("label", { class: "check", for: crfId, title: crf ? "" : "Evaluate with CRF to see it" }, this.crf, "CRF"), h("div", { class: "opacity" }, h("label", { for: opacityId }, "Opacity"), this.opacity), h("div", { class: "zoom" }, h("button", { type: "button", title: "Image before", "aria-label": "Image before", onclick: step(-1) }, "‹"), h("button", { type: "button", title: "Next image", "aria-label": "Next image", onclick: step(1) }, "›"))),
      h("div", { class: "image-browser" }, this.list, h("div", { class: "image-view" }, this.problem, this.panels, this.readout)),
    );
    this.element = element;
    this.colours = report.colours;
    this.classes = report.classes;
    this.sort();
  }

  measure(one) {
    const scores = this.look.crf && one.crf ? one.crf : one;
    return scores[this.look.kind].accuracy;
  }

  sort() {
    const rank = { worst: 1, best: -1, order: 0 }[this.order.input.value];
    const images = [...this.shown[0].report.images];
    const known = (one) => this.measure(one) ?? (rank > 0 ? Infinity : -Infinity);
    if (rank) images.sort((a, b) => rank * (known(a) - known(b)));
    this.images = images;
    this.list.replaceChildren(
      ...images.map((one) =>
        h("li", {}, h("button", { type: "button", dataset: { index: String(one.index) }, onclick: () => this.open(one.index) }, h("span", {}, one.name), h("b", {}, perCent(this.measure(one))))),
      ),
    );
    this.open(images.some((one) => one.index === this.index) && !rank ? this.index : images[0].index);
  }

  step(by) {
    const at = this.images.findIndex((one) => one.index === this.index);
    const next = this.images[Math.max(0, Math.min(this.images.length - 1, at + by))];
    if (next.index !== this.index) this.open(next.index);
  }

  change(changes) {
    const again = changes.crf === true;
    Object.assign(this.look, changes);
    for (const one of this.list.querySelectorAll("button")) {
      const image = this.images.find((other) => other.index === Number(one.dataset.index));
      one.querySelector("b").textContent = perCent(this.measure(image));
    }
    if (again) this.open(this.index);
    else this.draw();
  }

  setOpacity(opacity) {
    this.look.opacity = opacity;
    this.opacity.style.setProperty("--share", `${100 * opacity}%`);
    this.draw();
  }

  async open(index) {
    this.index = index;
    const mine = (this.turn = (this.turn ?? 0) + 1);
    for (const one of this.list.querySelectorAll("button")) {
      const on = Number(one.dataset.index) === index;
      one.setAttribute("aria-current", String(on));
      if (on) this.list.scrollTop = Math.max(0, one.offsetTop - this.list.offsetTop - 60);
    }
    this.element.dataset.ready = "false";
    this.panels.classList.add("waiting");
    try {
      const found = [];
      for (const { key } of this.shown) {
        const reply = await call(this.server, "image", { report: key, index, crf: this.look.crf });
        if (mine !== this.turn) return;
        const maps = {};
        for (const [name, packed] of Object.entries(reply.maps)) maps[name] = await inflate(packed);
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
    this.panels.classList.remove("waiting");
  }

  draw() {
    if (!this.found) return;
    const name = this.look.kind + (this.look.crf ? "_crf" : "");
    const two = this.shown.length > 1;
    const cells = [this.panel("Photo", this.found[0], null), this.panel("Truth", this.found[0], "truth")];
    this.found.forEach((one, i) => {
      if (!one.maps[name]) return;
      const title = two ? this.shown[i].title : "Prediction";
      cells.push(this.panel(title, one, name), this.panel(two ? `Wrong in ${title}` : "Wrong", one, name, true));
    });
    this.panels.replaceChildren(...cells);
    this.panels.dataset.kind = name;
  }

  /** One canvas: a map over the photo, or in red where it differs from the truth. */
  panel(title, { size, maps, photo }, name, wrong = false) {
    const canvas = h("canvas", { width: size, height: size, role: "img", "aria-label": title });
    const context = canvas.getContext("2d");
    context.drawImage(photo, 0, 0, size, size);
    if (name) {
      const table = new Uint32Array(256);
      const tint = document.createElement("canvas");
      if (wrong) {
        table[1] = pixel([214, 30, 60], 255);
        table[0] = pixel([12, 16, 26], 190);
        paint(tint, maps[name].map((id, i) => (maps.truth[i] === NONE ? 2 : Number(id !== maps.truth[i]))), size, size, table);
      } else {
        this.colours.forEach((colour, id) => (table[id] = pixel(colour, 255)));
        if (name !== "truth") table[NONE] = pixel([22, 22, 26], 255);
        paint(tint, maps[name], size, size, table);
      }
      context.globalAlpha = this.look.opacity;
      context.drawImage(tint, 0, 0);
    }
    canvas.addEventListener("pointermove", (event) => this.hover(event, canvas, size, maps));
    canvas.addEventListener("pointerleave", () => (this.readout.textContent = ""));
    return h("figure", { class: "segmented" }, canvas, h("figcaption", {}, title));
  }

  hover(event, canvas, size, maps) {
    const box = canvas.getBoundingClientRect();
    const x = Math.min(size - 1, Math.floor(((event.clientX - box.left) / box.width) * size));
    const y = Math.min(size - 1, Math.floor(((event.clientY - box.top) / box.height) * size));
    const name = this.look.kind + (this.look.crf ? "_crf" : "");
    const called = (id) => (id === NONE ? "no class" : this.classes[id]);
    const at = y * size + x;
    const said = this.found.map((one, i) => {
      const map = one.maps[name];
      return map ? `${this.shown.length > 1 ? this.shown[i].title : "predicted"}: ${called(map[at])}` : null;
    });
    this.readout.textContent = [`truth: ${called(maps.truth[at])}`, ...said.filter(Boolean)].join("   ");
  }
}
