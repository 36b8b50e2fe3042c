// The queue: paused and resumed, and its waiting runs put into another order.
import { call } from "../shared/client.js";
import { h, moment } from "../shared/dom.js";

const WAYS = [["first", "⤒", "Move to the front of the queue"], ["up", "↑", "Move up in the queue"], ["down", "↓", "Move down in the queue"]];

export class Queue {
  /** closed: whether pages may change nothing; changed(): the queue is another. */
  constructor(server, closed, changed) {
    Object.assign(this, { server, closed, changed });
    this.pause = h("button", { type: "button", title: "No new run starts until you resume the queue; running ones continue", onclick: () => this.ask("pause") }, "Pause queue");
    this.resume = h("button", { type: "button", class: "primary", onclick: () => this.ask("resume") }, "Resume queue");
    this.text = h("p", {});
    this.error = h("p", { class: "field-error", role: "alert", hidden: true });
    this.notice = h("div", { class: "queue-notice", role: "status", hidden: true }, this.text, this.resume);
    this.element = h("div", { class: "queue" }, this.notice, this.error);
  }

  /** queue: {since, by_all} as the server says; runs: all of them. */
  show(queue, runs) {
    const since = queue?.since ?? null;
    const here = runs.some(({ state, position }) => state === "running" || state === "stopping" || position !== null);
    this.pause.hidden = this.closed || since !== null || !here;
    this.notice.hidden = since === null;
    this.resume.hidden = this.closed || Boolean(queue?.by_all);
    if (since === null) return;
    const who = queue.by_all ? "The queue has been paused for all users" : "The queue has been paused";
    const text = `${who} since ${moment(since)}. No new run starts; SLURM jobs are not affected.`;
    if (this.text.textContent !== text) this.text.textContent = text;
  }

  async ask(action, more = {}) {
    this.error.hidden = true;
    try {
      const { queue } = await call(this.server, "queue", { action, ...more });
      this.changed(queue);
    } catch (error) {
      this.error.textContent = error.message;
      this.error.hidden = false;
    }
  }

  /** Buttons that move a waiting run; show them with `placeMoves`. */
  moves(name) {
    const button = ([to, sign, title]) => h("button", { type: "button", class: "quiet", title, "aria-label": `${title}: ${name}`, dataset: { move: to }, onclick: () => this.ask("move", { name, to }) }, sign);
    return h("span", { class: "moves", hidden: true }, WAYS.map(button));
  }

  /** waiting: how many runs wait here. */
  placeMoves(moves, run, waiting) {
    moves.hidden = this.closed || run.position === null || waiting < 2;
  }
}
