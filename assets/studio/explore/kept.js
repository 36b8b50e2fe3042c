// Anchors that are kept, up to eight, each in a colour: their sets, and the strip that lists them.
import { POSITIVE, unpackCodes } from "../shared/codec.js";
import { call, latestOnly } from "../shared/client.js";
import { h } from "../shared/dom.js";
import { patchCount, whereIs } from "./tiles.js";

/** Okabe and Ito's, told apart under every common colour-vision deficiency; as in explore/several.py. */
export const COLOURS = [
  [213, 94, 0],
  [86, 180, 233],
  [240, 228, 66],
  [204, 121, 167],
  [0, 158, 115],
  [230, 159, 0],
  [0, 114, 178],
  [0, 0, 0],
];
export const MOST = COLOURS.length;

export const css = ([r, g, b]) => `rgb(${r},${g},${b})`;

/** Black or white, whichever is read better on a colour. */
export const inkOn = ([r, g, b]) => (0.2126 * (r / 255) ** 2.2 + 0.7152 * (g / 255) ** 2.2 + 0.0722 * (b / 255) ** 2.2 > 0.18 ? "#000" : "#fff");

/** A number in the colour of its anchor. */
export function badge(slot) {
  const element = h("b", { class: "kept-badge" }, String(slot + 1));
  element.style.background = css(COLOURS[slot]);
  element.style.color = inkOn(COLOURS[slot]);
  return element;
}

/** Codes of a kept anchor at a step; null while they are not there. */
export const codesAt = (one, step) => one.codes?.[Math.min(step, one.codes.length - 1)] ?? null;

/** The kept anchors whose sets are there. */
export const ready = (state) => state.kept?.filter((one) => one?.codes) ?? [];

/** In how many kept anchors' positives every patch is at the step that is shown, as bytes. */
export function tally(state) {
  const kept = ready(state);
  const out = new Uint8Array(kept.length ? kept[0].codes[0].length : 0);
  for (const one of kept) {
    const codes = codesAt(one, state.step);
    for (let j = 0; j < out.length; j++) if (codes[j] === POSITIVE) out[j]++;
  }
  return out;
}

export class Kept {
  /** hooks: {getState(), onPick(patch), onChange(), say(text)}; state.kept holds them, by colour. */
  constructor(server, hooks) {
    this.server = server;
    this.hooks = hooks;
    this.ask = latestOnly(() => this.fetch());
    this.chips = h("span", { class: "kept-chips" });
    this.button = h("button", { type: "button", class: "quiet", title: "Keep this anchor, or remove it (k). Shift-click keeps any patch.", onclick: () => this.toggle(this.state.anchor) });
    this.strip = h("span", { class: "kept-strip", role: "group", "aria-label": "Kept anchors" }, this.button, this.chips);
  }

  get state() {
    return this.hooks.getState();
  }

  /** The patches by colour, null where one is free; as requests carry them. */
  get patches() {
    const patches = this.state.kept.map((one) => one?.patch ?? null);
    while (patches.length && patches[patches.length - 1] === null) patches.pop();
    return patches;
  }

  slotOf = (patch) => this.state.kept.findIndex((one) => one?.patch === patch);

  /** Keep a patch, or let go of it. */
  toggle(patch) {
    const { state } = this;
    const slot = this.slotOf(patch);
    if (slot >= 0) return this.remove(slot);
    const free = Array.from({ length: MOST }, (_, i) => i).find((i) => !state.kept[i]);
    if (free === undefined) return this.hooks.say(`At most ${MOST} anchors can be kept. Remove one first.`);
    while (state.kept.length <= free) state.kept.push(null);
    state.kept[free] = { slot: free, patch };
    this.adopt(state.kept[free]);
    this.changed();
    this.ask();
  }

  remove(slot) {
    this.state.kept[slot] = null;
    this.changed();
  }

  clear() {
    if (!this.patches.length) return;
    this.state.kept = [];
    this.changed();
  }

  /** Keep these patches and no others; for links. */
  set(patches) {
    this.state.kept = patches.map((patch, slot) => (patch === null ? null : { slot, patch }));
    this.changed();
    this.ask();
  }

  /** What the page shows anyway need not be asked for. */
  adopt(one) {
    const { view, settings } = this.state;
    if (view?.anchor !== one.patch || !same(view.settings, settings)) return;
    Object.assign(one, { steps: view.steps, codes: view.codes, settings });
  }

  /** Ask for the sets that are missing, or are of other settings: nothing where a click moved the
   *  anchor only. */
  follow() {
    if (this.missing.length) this.ask();
    this.showButton();
  }

  get missing() {
    const { settings, kept } = this.state;
    return kept.filter((one) => one && !same(one.settings, settings));
  }

  async fetch() {
    const { batch, settings } = this.state;
    const { missing } = this;
    if (!batch || !missing.length) return;
    const kept = Array(MOST).fill(null);
    for (const one of missing) kept[one.slot] = one.patch;
    let reply;
    try {
      reply = await call(this.server, "several", { batch: batch.batch, settings, kept });
    } catch (error) {
      this.hooks.say(error.message);
      return;
    }
    if (this.state.batch !== batch) return;
    for (const one of missing) {
      const { steps, codes } = reply.kept[one.slot];
      Object.assign(one, { steps, codes: unpackCodes(codes, patchCount(batch), steps.length), settings });
    }
    this.changed();
  }

  changed() {
    this.chips.replaceChildren(...this.state.kept.filter(Boolean).map((one) => this.chip(one)));
    this.showButton();
    this.hooks.onChange();
  }

  chip(one) {
    const { batch } = this.state;
    const [image, row, column] = whereIs(batch, one.patch);
    const text = `Kept anchor ${one.slot + 1}: ${batch.names[image]}, row ${row}, column ${column}`;
    return h("button", { type: "button", class: "quiet kept-chip", title: text, "aria-label": text, onclick: () => this.hooks.onPick(one.patch) }, badge(one.slot));
  }

  showButton() {
    const any = this.patches.length > 0;
    this.button.textContent = this.slotOf(this.state.anchor) >= 0 ? "Remove" : any ? "Keep" : "Keep anchor";
  }
}

const same = (a, b) => Boolean(a && b) && Object.keys(b).every((name) => a[name] === b[name]);
