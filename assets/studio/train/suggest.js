// Φ⁰ and Ψ⁰ for the images that a run is to train on: worked out from a sample of them.
import { AIMS } from "../shared/aims.js";
import { call } from "../shared/client.js";
import { h } from "../shared/dom.js";

const LOOK_MS = 300;
const CHANGED = "The images or settings have changed. Suggest again.";

export class Suggest {
  /** hooks: {request() → the order, take(settings), refused(error)}. */
  constructor(server, hooks) {
    this.server = server;
    this.hooks = hooks;
    this.buttons = AIMS.map(({ aim, title, words, help }) => h("button", { type: "button", title: help, "aria-pressed": "false", dataset: { aim }, onclick: () => this.use(aim) }, h("strong", {}, title), ` ${words}`));
    this.stop = h("button", { type: "button", class: "quiet", onclick: () => this.cancel() }, "Cancel");
    this.status = h("p", { class: "help", role: "status" });
    this.bar = h("progress", { max: 1, value: 0, "aria-label": "Reading a sample of the images" });
    this.busy = h("div", { class: "busy", hidden: true }, h("div", { class: "inline" }, this.status, this.stop), this.bar);
    this.reasons = h("ul", { class: "reasons", role: "status", hidden: true });
    this.element = h(
      "div",
      { class: "suggest", dataset: { part: "suggest" } },
      h("p", { class: "help" }, "Suggest Φ⁰ and Ψ⁰ for these images"),
      h("div", { class: "aims two", role: "group", "aria-label": "Suggest Φ⁰ and Ψ⁰ for these images" }, this.buttons),
      this.busy,
      this.reasons,
    );
  }

  async use(aim) {
    const request = this.hooks.request();
    this.explain([]);
    this.wait(true);
    this.givenUp = this.outdated = false;
    try {
      let job = await call(this.server, "suggest", request);
      this.key = job.key;
      while (["waiting", "running"].includes(job.state)) {
        if (this.givenUp || this.outdated) await this.cancel();
        this.status.textContent = job.text;
        this.bar.value = job.share;
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
        job = await call(this.server, "suggested", { key: this.key });
      }
      if (this.outdated) this.explain([CHANGED]);
      else if (job.state === "done") {
        const { settings, reasons } = job.advice[aim];
        this.hooks.take(settings);
        this.explain([...reasons, job.text], aim);
      }
    } catch (error) {
      this.hooks.refused(error);
    }
    this.key = null;
    this.wait(false);
  }

  async cancel() {
    this.givenUp = this.stop.disabled = true;
    try {
      if (this.key) await call(this.server, "suggested", { key: this.key, cancel: true });
    } catch (error) {
      this.explain([error.message]);
    }
  }

  wait(busy) {
    this.busy.hidden = !busy;
    this.stop.disabled = false;
    for (const button of this.buttons) button.disabled = busy;
    if (busy) this.status.textContent = "Reading a sample of the images…";
  }

  /** Sentences below the buttons, and which of these they come from. */
  explain(reasons, aim = "") {
    // Nothing is said any more of what was asked for before a change.
    this.outdated ||= reasons.length === 0;
    this.reasons.hidden = reasons.length === 0;
    this.reasons.replaceChildren(...reasons.map((reason) => h("li", {}, reason)));
    for (const button of this.buttons) button.setAttribute("aria-pressed", String(button.dataset.aim === aim));
  }
}
