// A half filled form as texts by name, and back: only what is not as the form began.

export class Kept {
  constructor() {
    this.fields = new Map();
  }

  /** Keep an <input>, a <select>, or {get() → text, set(text) → whether it makes sense}. */
  add(name, field) {
    const one = field instanceof Element ? ofElement(field) : field;
    this.fields.set(name, { ...one, usual: one.get() });
    return field;
  }

  texts() {
    const changed = [...this.fields].filter(([, { get, usual }]) => get() !== usual);
    // An emptied field is something else than one that nobody touched.
    return Object.fromEntries(changed.map(([name, { get }]) => [name, get() || EMPTY]));
  }

  /** Fill the form in again; returns the names that make no sense in it. */
  restore(texts) {
    const odd = Object.keys(texts).filter((name) => !this.fields.has(name));
    for (const [name, { set, usual }] of this.fields) {
      if (!(name in texts)) continue;
      const text = texts[name] === EMPTY ? "" : texts[name];
      if (set(text)) continue;
      set(usual);
      odd.push(name);
    }
    return odd;
  }
}

const EMPTY = "(empty)";

function ofElement(field) {
  if (field.type === "checkbox") {
    const set = (text) => {
      field.checked = text === "yes";
      return ["yes", "no"].includes(text);
    };
    return { get: () => (field.checked ? "yes" : "no"), set };
  }
  const set = (text) => {
    field.value = text;
    return field.value === text;
  };
  return { get: () => field.value, set };
}
