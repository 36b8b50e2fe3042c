// Answers of the server's "describe", as styles read them.
import { h } from "../../shared/dom.js";

/** What the server says of a batch's features; null until it is there. */
export const described = (state, what, options, read) => state.fetched.get(state.batch, "describe", { what, ...options }, read);

/** In place of a legend until an answer is there: that it is being worked out, or why there is none. */
export function instead(state, what, options, text) {
  const problem = state.fetched.problem(state.batch, "describe", { what, ...options });
  return [problem ? h("span", { class: "chip problem", role: "alert" }, problem) : h("span", { class: "chip" }, text)];
}
