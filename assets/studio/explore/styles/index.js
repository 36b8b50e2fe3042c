// The overlay styles, in the order of the menu. A new one: a module beside this one, a line here, and
// its mirror for exports in ppap/studio/explore/looks/.
//
// A style is an object:
//   key, title, help      its name in links and requests, on its button, and what it shows
//   group                 the heading above it in the menu; the first four styles stand beside the menu
//   grey                  whether the photographs lose their colours under it
//   unavailable(batch)    why it cannot be shown for a batch, as a sentence; "" where it can
//   colours(state, view, step)
//                         colour of every patch as RGBA bytes, in patch order; null while there is none
//   legend(state, act)    elements that say what the colours mean; act: see options.js
//   options, controls, …  see options.js; only where the style has parameters
//   says(state, patch)    a few words on the patch under the pointer; "" for none
//   click(state, act, patch)  what Alt and a click do
//   live                  whether the legend changes with anchor and step
//   ofFirst               whether it is of the first features only: beside them stand the sets
//   onMap                 whether the map takes its colours when it is chosen
//   marked(state)         patches that are framed: an array of indices
// What has to come from the server is read with state.fetched, see fetched.js.
import { attention } from "./attention.js";
import { boxes } from "./boxes.js";
import { clusters } from "./clusters.js";
import { components } from "./components.js";
import { difference } from "./difference.js";
import { anchors, intersection, union } from "./kept.js";
import { labels } from "./labels.js";
import { lengths } from "./lengths.js";
import { optionsOf } from "./options.js";
import { sets } from "./sets.js";
import { similarity } from "./similarity.js";
import { trust } from "./trust.js";

export const STYLES = [sets, boxes, similarity, labels, difference, trust, anchors, union, intersection, components, clusters, lengths, attention];

const byKey = new Map(STYLES.map((style) => [style.key, style]));

/** The style with a key; the first for a key that is none. */
export const styleOf = (key) => byKey.get(key) ?? STYLES[0];

export const isStyle = (key) => byKey.has(key);

/** Why a style cannot be shown for a batch; "" where it can. */
export const whyNot = (style, batch) => style.unavailable?.(batch) ?? "";

/** Why the second features cannot be drawn under a style, so that their sets are; "" where they can. */
export function whyNotBeside(style, batch) {
  return style.ofFirst ? `${style.title} is available for the first features only.` : whyNot(style, batch);
}

/** The look of the second features: their sets where there is nothing of them to draw. */
export const lookBeside = (look, batch) => (whyNotBeside(styleOf(look.style), batch) ? { ...look, style: "sets" } : look);

/** Colour of every patch under the chosen style, RGBA bytes in patch order; null for none. */
export function patchColours(state, view, step) {
  const style = styleOf(state.look.style);
  return whyNot(style, state.batch) ? null : style.colours(state, view, step);
}

/** The look as requests have it: with the options of the chosen style only, fit for the batch. */
export const lookOf = (state) => ({ ...state.look, options: optionsOf(styleOf(state.look.style), state) });
