// Sentences on what went wrong, or is worth knowing, that can be dismissed.
import { h } from "./dom.js";

const MOST_SENTENCES = 12;

export const errorBox = () => h("div", { class: "messages error", role: "alert", hidden: true });
export const noteBox = () => h("div", { class: "messages notes", role: "status", hidden: true });

/** What is wrong with one field of a form; hidden until something is. */
export const fieldError = (name) => h("p", { class: "field-error", role: "alert", hidden: true, dataset: { error: name } });

/** Put sentences into a box; none hide it. */
export function say(box, sentences) {
  box.hidden = sentences.length === 0;
  const close = h("button", { type: "button", class: "quiet", "aria-label": "Dismiss", onclick: () => (box.hidden = true) }, "✕");
  box.replaceChildren(close, ...sentences.slice(0, MOST_SENTENCES).map((text) => h("p", {}, text)));
  if (sentences.length > MOST_SENTENCES) box.append(h("p", {}, `and ${sentences.length - MOST_SENTENCES} more.`));
}
