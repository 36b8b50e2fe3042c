// A checkpoint made from the sample photos, for whoever has none.
import { call } from "../shared/client.js";
import { h } from "../shared/dom.js";
import { fieldError, tell } from "../shared/messages.js";

const POLL_MS = 1500;

export class Maker {
  /** made({name, checkpoints}): there is a run more. */
  constructor(server, config, made) {
    Object.assign(this, { server, made });
    this.text = h("p", { class: "help", role: "status" }, "Trains on the sample photos; takes a minute or two on two cores. The result is an ordinary run.");
    this.bar = h("progress", { max: 1, value: 0, hidden: true, "aria-label": "Training" });
    this.button = h("button", { type: "button", onclick: () => this.make() }, "Train a checkpoint on the sample photos");
    this.error = fieldError("make");
    this.element = h("div", { class: "source-panel maker", hidden: !config.make }, this.button, this.bar, this.text, this.error);
  }

  async make() {
    this.button.disabled = true;
    this.bar.hidden = false;
    tell(this.error, "");
    try {
      let found = await call(this.server, "make", null);
      while (["queued", "running", "stopping"].includes(found.state)) {
        this.bar.value = found.share;
        const left = found.time_left ? `, about ${Math.max(1, Math.round(found.time_left / 60))} min left` : "";
        this.text.textContent = found.state === "queued" ? `${found.name} is waiting for another run to finish.` : `Training ${found.name}: ${Math.round(100 * found.share)} %${left}. You can leave this page.`;
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
        found = await call(this.server, "making", found.name);
      }
      const said = `${found.name} ${found.state}. ${found.text}`.trim();
      if (found.state === "failed") throw new Error(said);
      this.text.textContent = said;
      if (found.state === "finished") this.useMade(found);
    } catch (error) {
      this.text.textContent = "";
      tell(this.error, error.message);
    }
    this.button.disabled = false;
    this.bar.hidden = true;
  }

  useMade(found) {
    this.text.textContent = `${found.name} is ready.`;
    this.made(found);
  }
}
