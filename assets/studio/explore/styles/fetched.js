// What styles need from the server, per batch: asked for when it is first read, kept, drawn when it
// is there.
import { call } from "../../shared/client.js";

// Of one batch; what was read longest ago goes first.
const KEPT = 24;
const AFTER_MS = 120;

export class Fetched {
  /** changed() is called when something came, or could not be had. */
  constructor(server, changed) {
    this.server = server;
    this.changed = changed;
    this.batches = new WeakMap();
    this.asking = new WeakMap();
  }

  /**
   * The answer of a server call, as `read` makes it; null until it is there. Options that are moved
   * quickly are asked for when they rest. An answer with something `left` is asked for again when
   * it is drawn.
   */
  get(batch, name, argument, read = (reply) => reply) {
    const entry = this.entry(batch, name, argument);
    if (!entry.state || entry.unfinished) {
      entry.state ??= "asked";
      entry.unfinished = false;
      this.ask(batch, name, argument, read, entry);
    }
    return entry.state === "here" ? entry.value : null;
  }

  /** Why an answer could not be had; "" where nothing is wrong so far. */
  problem = (batch, name, argument) => this.entry(batch, name, argument).problem ?? "";

  entry(batch, name, argument) {
    if (!this.batches.has(batch)) this.batches.set(batch, new Map());
    const entries = this.batches.get(batch);
    const key = `${name} ${JSON.stringify(argument)}`;
    const entry = entries.get(key) ?? {};
    entries.delete(key);
    entries.set(key, entry);
    for (const [old, { state }] of entries) {
      if (entries.size <= KEPT) break;
      if (state !== "asked") entries.delete(old);
    }
    return entry;
  }

  /** What was asked for last under a name: {asked, busy}. */
  last(batch, name) {
    if (!this.asking.has(batch)) this.asking.set(batch, {});
    return (this.asking.get(batch)[name] ??= {});
  }

  async ask(batch, name, argument, read, entry) {
    const last = this.last(batch, name);
    last.asked = entry;
    await new Promise((resolve) => setTimeout(resolve, last.busy ? AFTER_MS : 0));
    if (last.asked !== entry) {
      // Another choice was made meanwhile.
      if (entry.state === "here") entry.unfinished = true;
      else entry.state = null;
      return;
    }
    last.busy = true;
    try {
      entry.value = read(await call(this.server, name, { batch: batch.batch, ...argument }));
      entry.state = "here";
      entry.unfinished = Boolean(entry.value?.left);
    } catch (error) {
      entry.state = "failed";
      entry.problem = error.message;
    } finally {
      last.busy = false;
      this.changed();
    }
  }
}
