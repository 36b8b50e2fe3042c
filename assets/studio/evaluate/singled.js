// What is singled out of a report's pixels: a cell of the confusion, or a class.
import { NONE } from "../shared/label-view.js";

/** Of pixels that a report does not speak of, outside of its square. */
export const OUTSIDE = 0xfffe;

/** Of a class: all that its IoU is made of, what it lost, and what was wrongly called so. */
export const PARTS = [["any", "All", "Every pixel of this class, and every pixel predicted as this class"], ["missed", "Missed", "Pixels of this class that were predicted as another"], ["called", "False alarms", "Pixels of other classes that were predicted as this one"]];
export const NO_CLASS = -1;

/** What a cell of the matrix stands for; the last column is of clusters without a class. */
export const cellOf = (truth, column, classes) => ({ truth, predicted: column === classes ? NO_CLASS : column });
export const classOf = (id, part = "any") => ({ id, part });

/** As a link has it, and back; null for what makes no sense. of: which of the reports. */
export const toText = (one) => (one ? `${"id" in one ? `${one.part}.${one.id}` : `cell.${one.truth}.${one.predicted}`}${one.of ? `@${one.of}` : ""}` : "");

export function fromText(text, classes, reports) {
  const [, name, first, second, of = "0"] = /^([a-z]+)\.(\d+)(?:\.(-?\d+))?(?:@(\d+))?$/.exec(text ?? "") ?? [];
  const within = (value, least = 0) => Number(value) >= least && Number(value) < classes;
  if (!name || !within(first) || Number(of) >= reports) return null;
  const about = { of: Number(of) };
  if (name === "cell") return second !== undefined && within(second, NO_CLASS) ? { truth: Number(first), predicted: Number(second), ...about } : null;
  return PARTS.some(([part]) => part === name) && second === undefined ? { ...classOf(Number(first), name), ...about } : null;
}

export function inWords(one, classes) {
  const called = (id) => (id === NO_CLASS ? "no class" : classes[id]);
  if (!("id" in one)) return one.truth === one.predicted ? `${called(one.truth)}, found` : `true ${called(one.truth)}, predicted ${called(one.predicted)}`;
  return { any: `${called(one.id)}, true or predicted`, missed: `${called(one.id)}, missed`, called: `mistaken for ${called(one.id)}` }[one.part];
}

/** What the server counts. */
export const asked = (one) => ("id" in one ? { class: one.id, part: one.part } : { truth: one.truth, predicted: one.predicted });

/** Whether a pixel belongs to it: (truth, predicted) as ids of label maps → boolean. */
export function test(one) {
  const counts = (truth, predicted) => truth !== NONE && predicted !== OUTSIDE;
  if (!("id" in one)) {
    const predicted = one.predicted === NO_CLASS ? NONE : one.predicted;
    return (t, p) => t === one.truth && p === predicted;
  }
  const { id } = one;
  return {
    any: (t, p) => counts(t, p) && (t === id || p === id),
    missed: (t, p) => counts(t, p) && t === id && p !== id,
    called: (t, p) => counts(t, p) && p === id && t !== id,
  }[one.part];
}
