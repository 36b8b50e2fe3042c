// Every patch as the anchor: follows the server's survey while somebody looks at what comes of it.
import { float32 } from "../shared/codec.js";
import { call } from "../shared/client.js";

const AFTER_MS = 180; // a slider that moves asks for nothing
const EVERY_MS = 250;

export class Trust {
  /**
   * hooks: {getState(), wanted() whether it is looked at, onChange()}. state.trust is {measure, values,
   * low, high, title, meaning, worth, …}, null before the first answer.
   */
  constructor(server, page, hooks) {
    this.server = server;
    this.page = page; // how this page calls itself
    this.hooks = hooks;
    this.measure = null; // the server's usual one
    this.filter = {};
    this.turn = 0;
    this.text = "";
    this.problem = "";
    this.share = null;
    this.watching = false;
  }

  get request() {
    const { batch, settings } = this.hooks.getState();
    return { page: this.page, batch: batch.batch, settings, measure: this.measure, worth: this.filter };
  }

  /** A link or a select chooses a measure. */
  setMeasure(measure) {
    this.measure = measure;
    this.follow();
  }

  setFilter(changes) {
    Object.assign(this.filter, changes);
    this.follow();
  }

  setBatch() {
    this.turn++;
    this.asked = null;
    this.filter = {};
    this.measures = this.shownMeasure = null;
    this.hooks.getState().trust = null;
    this.text = this.problem = "";
    this.share = null;
  }

  /** Settings, measure or filter may have changed, or it is looked at or no longer. */
  follow() {
    const { batch } = this.hooks.getState();
    if (!batch) return;
    if (!this.hooks.wanted()) return this.leave();
    const { batch: of, settings, measure, worth } = this.request;
    const asked = JSON.stringify([of, settings, measure, worth]);
    if (this.watching && asked === this.asked) return;
    const moved = this.asked !== null && JSON.stringify(settings) !== this.settings;
    this.asked = asked;
    this.settings = JSON.stringify(settings);
    this.watching = true;
    const mine = ++this.turn;
    setTimeout(() => mine === this.turn && this.watch(mine), moved ? AFTER_MS : 0);
  }

  leave() {
    if (!this.watching) return;
    this.watching = false;
    this.turn++;
    call(this.server, "leave_survey", { page: this.page }).catch(() => {}); // it ends by itself, too
  }

  async watch(mine) {
    const { request } = this;
    for (let have = null; mine === this.turn; ) {
      let reply;
      try {
        reply = await call(this.server, "survey", { ...request, have });
      } catch (error) {
        if (mine !== this.turn) return;
        this.problem = error.message;
        this.share = null;
        this.watching = false;
        this.hooks.onChange();
        return;
      }
      if (mine !== this.turn) return;
      this.take(reply, request);
      if (reply.values !== undefined) have = reply.version;
      if (reply.finished) return;
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  }

  take(reply, request) {
    const state = this.hooks.getState();
    this.problem = "";
    this.text = reply.text;
    this.share = reply.finished ? null : reply.share;
    this.measures = reply.measures;
    this.shownMeasure = reply.measure;
    if (reply.values !== undefined) {
      const { measure, low, high, title, meaning, worth } = reply;
      state.trust = { measure, low, high, title, meaning, worth, values: float32(reply.values), settings: request.settings };
    }
    if (state.trust) Object.assign(state.trust, { text: reply.text, finished: reply.finished });
    this.hooks.onChange();
  }
}
