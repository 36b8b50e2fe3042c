// The part of a form that begins one long job on the server, shows how far it is, and can cancel it.
import { call } from "./client.js";
import { h } from "./dom.js";
import { errorBox, say } from "./messages.js";

export class JobControls {
  /**
   * words: {begin, doing}, of the button and the bar; pause: milliseconds between looks;
   * on: {request() → what the server's start is asked for, ended(job), and if need be
   * refused(error) → whether it was said at a field}.
   */
  constructor(server, words, pause, on) {
    Object.assign(this, { server, pause, on });
    this.begin = h("button", { type: "submit", class: "primary" }, words.begin);
    this.stop = h("button", { type: "button", hidden: true, onclick: () => this.cancel() }, "Cancel");
    this.status = h("p", { class: "status", role: "status" });
    this.bar = h("progress", { max: 1, value: 0, "aria-label": words.doing });
    this.busy = h("div", { class: "busy", hidden: true }, this.status, this.bar);
    this.errors = errorBox();
    this.elements = [h("div", { class: "inline" }, this.begin, this.stop), this.busy, this.errors];
  }

  get following() {
    return !this.busy.hidden;
  }

  async start() {
    say(this.errors, []);
    try {
      await call(this.server, "start", this.on.request());
      await this.follow();
    } catch (error) {
      if (!this.on.refused?.(error)) say(this.errors, [error.message]);
    }
  }

  /** Show how far the job is, whoever began it, until it has ended. */
  async follow() {
    this.begin.disabled = true;
    this.stop.hidden = this.busy.hidden = false;
    try {
      for (;;) {
        const { current } = await call(this.server, "status", null);
        if (current.state !== "running") {
          if (current.state === "failed") say(this.errors, [current.text], current.lines);
          await this.on.ended(current);
          break;
        }
        this.status.textContent = current.text;
        this.bar.value = current.share;
        await new Promise((resolve) => setTimeout(resolve, this.pause));
      }
    } catch (error) {
      say(this.errors, [error.message]);
    }
    this.begin.disabled = false;
    this.stop.hidden = this.busy.hidden = true;
  }

  async cancel() {
    this.stop.disabled = true;
    try {
      await call(this.server, "cancel", null);
    } catch (error) {
      say(this.errors, [error.message]);
    }
    this.stop.disabled = false;
  }
}
