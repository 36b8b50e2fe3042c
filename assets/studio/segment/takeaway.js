// The ZIP: what shall be in it, and the making of it.
import { call } from "../shared/client.js";
import { h, newId } from "../shared/dom.js";

const POLL_MS = 500;

/** Bytes as people write them. */
const bytes = (count) => (count < 2 ** 30 ? `${Math.max(0.1, count / 2 ** 20).toFixed(count < 10 * 2 ** 20 ? 1 : 0)} MB` : `${(count / 2 ** 30).toFixed(1)} GB`);

export class Takeaway {
  /** on: {request(): what is taken, with names and colours; fail(text)}. */
  constructor(server, on) {
    this.server = server;
    this.on = on;
    this.save = h("button", { type: "button", class: "primary", disabled: true, title: "A data set: label maps, overlays, COCO JSON and class names", onclick: () => this.take() }, "Download ZIP");
    this.photos = this.box("Include the images", "Makes the ZIP a data set that Train and Evaluate can open");
    this.overlays = this.box("Include overlays", "The images with their segments drawn over them", true);
    this.polygons = this.box("Polygons in the JSON", "For tools that cannot read run lengths. Polygons have no holes, so segments with holes are cut into parts; no pixel is lost, but the files are larger");
    this.why = h("p", { class: "help", hidden: true });
    this.panel = h("div", { class: "takeaway", id: newId("takeaway"), hidden: true, role: "group", "aria-label": "Contents of the ZIP" }, this.photos.label, this.overlays.label, this.polygons.label, this.why);
    this.more = h("button", { type: "button", title: "Contents of the ZIP", "aria-label": "Contents of the ZIP", "aria-expanded": "false", "aria-controls": this.panel.id, onclick: () => this.open(this.panel.hidden) }, "▾");
    this.buttons = h("div", { class: "end" }, h("div", { class: "split" }, this.save, this.more));
  }

  box(text, title, checked = false) {
    const input = h("input", { id: newId("take"), type: "checkbox", checked });
    const said = h("span", {}, text);
    return { input, said, text, label: h("label", { class: "check", for: input.id, title }, input, said) };
  }

  open(open) {
    this.panel.hidden = !open;
    this.more.setAttribute("aria-expanded", String(open));
  }

  /** There is something to take. */
  offer({ photos }) {
    this.save.disabled = false;
    const refused = photos.refused;
    this.photos.input.disabled = Boolean(refused);
    if (refused) this.photos.input.checked = false;
    this.photos.said.textContent = `${this.photos.text}, ${bytes(photos.bytes)}`;
    this.why.hidden = !refused;
    this.why.textContent = refused;
  }

  async take() {
    this.save.disabled = true;
    this.save.textContent = "Making the ZIP…";
    try {
      const asked = { photos: this.photos.input.checked, overlays: this.overlays.input.checked, polygons: this.polygons.input.checked };
      const { url, name } = await this.packed({ ...this.on.request(), ...asked });
      // The browser writes it to disk itself, however large it is.
      const link = h("a", { href: url, download: name });
      document.body.append(link);
      link.click();
      link.remove();
      this.on.fail("");
    } catch (error) {
      this.on.fail(error.message);
    }
    this.save.disabled = false;
    this.save.textContent = "Download ZIP";
  }

  /** Where the ZIP is; of many pictures it takes a while. */
  async packed(request) {
    const reply = await call(this.server, "take", request);
    if (!reply.job) return reply;
    for (;;) {
      const status = await call(this.server, "progress", reply.job);
      if (status.state === "done") return status.result;
      if (status.state === "cancelled") throw new Error("The ZIP was cancelled.");
      this.save.textContent = `Making the ZIP… ${Math.round(100 * status.share)} %`;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}
