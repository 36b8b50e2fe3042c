// Sentences on what went wrong, or is worth knowing: few and short ones, the rest folded away.
import { h, newId } from "./dom.js";

// So many sentences are seen at once, and so long a one is shown whole.
const MOST_OPEN = 3;
const LONGEST = 200;

export const errorBox = () => h("div", { class: "messages error", role: "alert", hidden: true });
export const noteBox = () => h("div", { class: "messages notes", role: "status", hidden: true });

/** What is wrong with one field of a form; hidden until something is. */
export const fieldError = (name) => h("div", { id: newId("error"), class: "field-error", role: "alert", hidden: true, dataset: { error: name } });

/** {sentence, rest}: what is read first, and what only those read who want to know more. */
export function shortened(text) {
  const [line, ...lines] = text.trim().split(/\n+/);
  const below = lines.join("\n");
  if (line.length <= LONGEST) return { sentence: line, rest: below };
  const start = line.slice(0, LONGEST + 1);
  const whole = start.match(/^.{20,}?[.!?](?=\s)/);
  if (whole) return { sentence: whole[0], rest: join(line.slice(whole[0].length), below) };
  const part = start.match(/^.{20,}?(?=[:;]\s)/);
  if (part) return { sentence: `${part[0]}.`, rest: join(line.slice(part[0].length + 1), below) };
  const words = start.slice(0, LONGEST).replace(/\s+\S*$/, "");
  return { sentence: `${words}…`, rest: join(line, below) };
}

const join = (first, below) => [first.trim(), below].filter(Boolean).join("\n");

const folded = (title, ...content) => h("details", { class: "more" }, h("summary", {}, title), content);

/** A text as elements: its sentence, what may be meant instead as buttons, and the rest folded. */
function elements(text, { offers = [], use = null } = {}) {
  // The server's own question is for scripts, which have no buttons.
  const asked = offers.length && use;
  const { sentence, rest } = shortened(asked ? text.replace(/\s*Did you mean .*\?$/s, "") : text);
  const button = (offer) => h("button", { type: "button", class: "quiet offer", onclick: () => use(offer) }, offer);
  const between = (i) => (i === 0 ? "" : i === offers.length - 1 ? " or " : ", ");
  return [
    h("p", {}, sentence),
    asked ? h("p", { class: "offers" }, "Did you mean ", offers.map((offer, i) => [between(i), button(offer)]), "?") : null,
    rest ? folded("Details", h("p", {}, rest)) : null,
  ].filter(Boolean);
}

/** Put texts into a box, with the last lines of a log folded below; none hide it. */
export function say(box, texts, log = []) {
  const sentences = texts.flatMap((text) => text.trim().split(/\n+/));
  box.hidden = sentences.length === 0;
  const close = h("button", { type: "button", class: "quiet", "aria-label": "Dismiss", onclick: () => (box.hidden = true) }, "✕");
  // Where two are hidden behind a button, one may as well be shown.
  const open = sentences.length === MOST_OPEN + 1 ? MOST_OPEN + 1 : MOST_OPEN;
  const more = sentences.slice(open);
  box.replaceChildren(close, ...sentences.slice(0, open).flatMap((text) => elements(text)));
  if (more.length) box.append(folded(`and ${more.length} more`, more.map((text) => h("p", {}, text))));
  if (log.length) box.append(folded("The last lines of the log", h("pre", {}, log.join("\n"))));
}

/** Say at a field what is wrong with it; nothing hides it. `use` puts an offer into the field. */
export function tell(error, text, { offers = [], use = null } = {}) {
  const said = JSON.stringify([text, offers]);
  error.hidden = !text;
  if (error.dataset.said === said) return; // what is unfolded stays so
  error.dataset.said = said;
  error.replaceChildren(...(text ? elements(text, { offers, use }) : []));
}
