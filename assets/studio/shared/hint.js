// Words that say what they mean: under the pointer, by keyboard and by touch.
import { h, newId } from "./dom.js";

const WIDTH = 280;
const EDGE = 8;

/** A button with these words, and a sentence that it opens below itself, over whatever is there. */
export function hint(words, sentence) {
  const id = newId("hint");
  const bubble = h("span", { id, class: "hint-bubble", role: "tooltip", popover: "auto" }, sentence);
  const button = h("button", { type: "button", class: "hint", title: sentence, popovertarget: id, "aria-describedby": id }, words);
  const close = () => bubble.hidePopover();
  button.addEventListener("keydown", ({ key }) => key === "Tab" && close()); // it would cover what comes next
  bubble.addEventListener("beforetoggle", ({ newState }) => {
    if (newState !== "open") return removeEventListener("scroll", close, true);
    const { left, bottom } = button.getBoundingClientRect();
    bubble.style.left = `${Math.max(EDGE, Math.min(innerWidth - WIDTH - EDGE, left))}px`;
    bubble.style.top = `${bottom + 4}px`;
    addEventListener("scroll", close, true); // it would stay where the button was
  });
  return [button, bubble];
}
