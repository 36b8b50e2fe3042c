// Export: PNG, SVG, JSON, NPZ, the lines of Python, and a link.
import { call } from "../shared/client.js";
import { download, h } from "../shared/dom.js";
import { bytes } from "../shared/codec.js";
import { Animate } from "./animate.js";

const FILES = [
  ["png", "PNG picture", "The mosaic as shown, with a caption"],
  ["svg", "SVG picture", "The same, with every patch an editable shape"],
  ["json", "Sets as JSON", "Settings, thresholds and patch indices for every step"],
  ["npz", "Sets as NPZ", "The same as NumPy arrays, with the proxies"],
];

export class TakeAway {
  /** state(): what to export, as the server reads it; link(): the address that restores it. */
  constructor(server, state, link) {
    this.server = server;
    this.state = state;
    this.status = h("p", { class: "help", role: "status" });
    this.animate = new Animate(server, state);
    this.code = h("textarea", { readonly: true, rows: "13", "aria-label": "Python", spellcheck: "false", dataset: { part: "python" } });
    this.link = h("input", { type: "text", readonly: true, "aria-label": "Link", dataset: { part: "link" } });
    this.makeLink = link;
    this.lifetime = h("p", { class: "help" });
    const copy = (from, name) =>
      h("button", { type: "button", onclick: () => this.copy(from, name) }, "Copy");
    this.element = h(
      "dialog",
      { class: "sheet", "aria-label": "Export" },
      h("header", {}, h("h2", {}, "Export"), h("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: () => this.element.close() }, "✕")),
      h("div", { class: "files" }, FILES.map(([format, title, text]) => h("button", { type: "button", dataset: { format }, onclick: () => this.save(format) }, h("strong", {}, title), h("span", {}, text)))),
      this.animate.element,
      h("h3", {}, "Link"),
      h("div", { class: "inline" }, this.link, copy(this.link, "link")),
      this.lifetime,
      h("h3", {}, "Python"),
      this.code,
      h("div", { class: "inline" }, copy(this.code, "lines")),
      this.status,
    );
    this.element.addEventListener("click", (event) => event.target === this.element && this.element.close());
  }

  async open() {
    this.status.textContent = "";
    this.link.value = this.makeLink();
    const own = new URL(this.link.value).searchParams.has("batch");
    this.lifetime.textContent = own ? "Your images exist on this server only, so the link works until the studio is restarted." : "";
    this.code.value = "";
    this.element.showModal();
    this.animate.open();
    try {
      const reply = await call(this.server, "take", { ...this.state(), format: "py" });
      this.code.value = new TextDecoder().decode(bytes(reply.data));
    } catch (error) {
      this.status.textContent = error.message;
    }
  }

  async save(format) {
    this.status.textContent = "Preparing the file…";
    try {
      const reply = await call(this.server, "take", { ...this.state(), format });
      download(reply.name, new Blob([bytes(reply.data)], { type: reply.type }));
      this.status.textContent = `Saved ${reply.name}.`;
    } catch (error) {
      this.status.textContent = error.message;
    }
  }

  async copy(from, name) {
    from.select();
    try {
      await navigator.clipboard.writeText(from.value);
    } catch {
      document.execCommand("copy"); // pages that are not on https or localhost
    }
    this.status.textContent = `Copied the ${name}.`;
  }
}
