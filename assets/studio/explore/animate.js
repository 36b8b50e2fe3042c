// An animation of the steps, made on the server in the background.
import { call } from "../shared/client.js";
import { h, newId, select } from "../shared/dom.js";

const TITLES = { webp: "WebP", gif: "GIF", mp4: "MP4" };
const POLL_MS = 300;

export class Animate {
  /** state(): what is shown, as the server reads it. */
  constructor(server, state) {
    Object.assign(this, { server, state });
    this.format = select("Format", [["webp", "WebP"]], "webp", () => {});
    this.map = h("input", { id: newId("with-map"), type: "checkbox" });
    this.begin = h("button", { type: "button", onclick: () => this.make() }, "Make animation");
    this.stop = h("button", { type: "button", class: "quiet", onclick: () => this.cancel() }, "Cancel");
    this.bar = h("progress", { max: 1, value: 0, "aria-label": "Making the animation" });
    this.doing = h("span", { class: "help" });
    this.busy = h("div", { class: "inline", hidden: true }, this.bar, this.doing, this.stop);
    this.said = h("p", { class: "help", role: "status" });
    this.element = h(
      "div",
      { class: "animate", dataset: { part: "animation" } },
      h("h3", {}, "Animation of the steps"),
      h("div", { class: "inline" }, this.format.field, h("label", { class: "check", for: this.map.id }, this.map, "Include the map"), this.begin),
      this.busy,
      this.said,
    );
  }

  async open() {
    if (this.asked) return;
    try {
      const { formats } = await call(this.server, "animation_formats", null);
      this.format.input.replaceChildren(...formats.map((one) => h("option", { value: one }, TITLES[one] ?? one)));
      this.asked = true;
    } catch (error) {
      this.said.textContent = error.message;
    }
  }

  async make() {
    this.said.textContent = "";
    this.begin.disabled = true;
    this.busy.hidden = false;
    try {
      const { job } = await call(this.server, "animate", { ...this.state(), format: this.format.input.value, map: this.map.checked });
      this.job = job;
      for (;;) {
        const found = await call(this.server, "animation", job);
        if (found.state === "done") return this.save(job, found.name);
        if (found.state === "cancelled") return void (this.said.textContent = "Cancelled.");
        this.bar.value = found.share;
        this.doing.textContent = `${found.text}…`;
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    } catch (error) {
      this.said.textContent = error.message;
    } finally {
      this.begin.disabled = false;
      this.busy.hidden = true;
    }
  }

  save(job, name) {
    const link = h("a", { href: `studio/animation/${encodeURIComponent(job)}`, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    this.said.textContent = `Saved ${name}.`;
  }

  async cancel() {
    await call(this.server, "cancel_animation", this.job).catch((error) => (this.said.textContent = error.message));
  }
}
