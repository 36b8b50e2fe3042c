// What the second set of positives gains and loses beside the first, patch by patch. The Python side
// is ppap/studio/explore/beside.py.
import { ANCHOR, POSITIVE } from "../shared/codec.js";

export const GAINED = 1;
export const LOST = 2;
export const KEPT = 3;

/**
 * Codes of sets → 0, or gained, lost, kept, on the grid of the one that has no partners given.
 * before[partnersBefore[j]] stands beside after[partnersAfter[j]]; null: the patch itself. An anchor
 * is in none of its own sets: neither gained nor lost.
 */
export function change(before, after, { partnersBefore = null, partnersAfter = null } = {}) {
  const out = new Uint8Array((partnersBefore ?? partnersAfter ?? before).length);
  for (let j = 0; j < out.length; j++) {
    const was = before[partnersBefore ? partnersBefore[j] : j];
    const now = after[partnersAfter ? partnersAfter[j] : j];
    if (was === ANCHOR || now === ANCHOR) continue;
    if (now === POSITIVE) out[j] = was === POSITIVE ? KEPT : GAINED;
    else if (was === POSITIVE) out[j] = LOST;
  }
  return out;
}

/** The step that stands beside a step of the first: the same, and the last beside the last. */
export function stepBeside(step, first, second) {
  const last = second.steps.length - 1;
  return step === first.steps.length - 1 ? last : Math.min(step, last);
}

/** How many patches have a code, and how many of the labelled ones have the anchor's class:
 *  {count, right, labelled}; right is null where there is no class to measure against. */
export function tally(codes, code, labels, anchor) {
  const wanted = labels ? labels[anchor] : -1;
  const found = { count: 0, right: wanted < 0 ? null : 0, labelled: 0 };
  codes.forEach((own, patch) => {
    if (own !== code) return;
    found.count++;
    if (wanted < 0 || labels[patch] < 0) return;
    found.labelled++;
    if (labels[patch] === wanted) found.right++;
  });
  return found;
}
