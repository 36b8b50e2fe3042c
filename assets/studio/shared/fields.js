// What is wrong with the fields of a form, each said below its own.
import { fieldError, tell } from "./messages.js";

/** An empty field is not blamed before somebody has typed in it, or sent the form. */
export class FieldErrors {
  constructor() {
    this.fields = new Map();
    this.touched = new Set();
    this.sent = false;
  }

  /**
   * Watch a field; returns the element in which its error is said. `value()` is what it holds, and
   * `use(offer)` puts something else into it.
   */
  add(name, input, { value = () => input.value, use = null } = {}) {
    const error = fieldError(name);
    const others = input.getAttribute("aria-describedby");
    input.setAttribute("aria-describedby", [others, error.id].filter(Boolean).join(" "));
    input.addEventListener("input", () => this.touch(name));
    this.fields.set(name, { input, error, value, use: use ?? ((offer) => replace(input, offer)) });
    return error;
  }

  has(name) {
    return this.fields.has(name);
  }

  touch(name) {
    this.touched.add(name);
  }

  /** Show what is wrong, by field; returns the sentences that belong to none. */
  show(errors, offers = {}) {
    const wrong = new Set(); // inputs; one may have several fields
    for (const [name, { input, error, value, use }] of this.fields) {
      const early = !this.sent && !this.touched.has(name) && !String(value()).trim();
      const said = early ? "" : errors[name] ?? "";
      tell(error, said, { offers: offers[name], use });
      if (!said) continue;
      wrong.add(input);
      error.closest("details")?.setAttribute("open", "");
    }
    for (const { input } of this.fields.values()) input.setAttribute("aria-invalid", String(wrong.has(input)));
    return Object.entries(errors).filter(([name]) => !this.fields.has(name)).map(([, said]) => said);
  }

  /** Show a refusal at its field; returns whether it has one. */
  refuse({ field, message, offers }) {
    if (!this.has(field)) return false;
    this.touch(field);
    this.show({ [field]: message }, { [field]: offers });
    this.fields.get(field).error.scrollIntoView({ block: "nearest" });
    return true;
  }

  /** Names in the order in which their fields stand on the page; those without one come last. */
  ordered(names) {
    const place = [...this.fields.keys()].filter((name) => names.includes(name));
    const follows = (a, b) => this.fields.get(a).error.compareDocumentPosition(this.fields.get(b).error) & Node.DOCUMENT_POSITION_FOLLOWING;
    return [...place.toSorted((a, b) => (follows(a, b) ? -1 : 1)), ...names.filter((name) => !this.fields.has(name))];
  }

  /** Bring a field into sight, with the cursor in it. */
  focus(name) {
    const { input, error } = this.fields.get(name);
    for (let parent = error.closest("details"); parent; parent = parent.parentElement.closest("details")) parent.open = true;
    error.scrollIntoView({ block: "center" });
    const field = input.checkVisibility() ? input : [...error.parentElement.querySelectorAll("input")].find((one) => one.checkVisibility());
    field?.focus({ preventScroll: true });
  }

  /** As before anything was typed. */
  reset() {
    this.touched.clear();
    this.sent = false;
  }
}

/** Type something else into a field. */
function replace(input, text) {
  input.value = text;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  input.focus();
}
