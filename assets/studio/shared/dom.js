// Small helpers to build elements. Text always goes in as text, never as markup: file names and
// class names come from strangers.

/** h("button", {class: "primary", onclick: f}, "Label", child, …) → an element. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

let lastId = 0;
export const newId = (stem) => `${stem}-${++lastId}`;

/** A labelled <select>; options are [value, text] pairs or {group, options}. */
export function select(label, options, value, onchange, help) {
  const id = newId("select");
  const input = h("select", { id, onchange: () => onchange(input.value), title: help }, choices(options, value));
  return { input, field: h("div", { class: "field" }, h("label", { for: id }, label), input) };
}

function choices(options, value) {
  const option = ([key, text]) => h("option", { value: key, selected: key === value }, text);
  return options.map((entry) =>
    Array.isArray(entry)
      ? option(entry)
      : h("optgroup", { label: entry.group }, entry.options.map(option)),
  );
}

/** Give a <select> other options; what is chosen stays, or the first is where it is gone. */
export function relist(input, options) {
  const kept = input.value;
  input.replaceChildren(...choices(options, kept));
  input.value = kept;
  if (!input.value) input.selectedIndex = 0;
}

/** A row of buttons of which one is chosen. */
export function choice(label, options, value, onchange) {
  const buttons = options.map(([key, text, title]) =>
    h(
      "button",
      {
        type: "button",
        role: "radio",
        "aria-checked": String(key === value),
        title,
        dataset: { value: key },
        onclick: () => {
          set(key);
          onchange(key);
        },
      },
      text,
    ),
  );
  const set = (key) => {
    for (const button of buttons) {
      const on = button.dataset.value === String(key);
      button.setAttribute("aria-checked", String(on));
      button.tabIndex = on ? 0 : -1;
    }
  };
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = buttons[(buttons.indexOf(event.target) + step + buttons.length) % buttons.length];
    next.focus();
    next.click();
  };
  const group = h("div", { class: "choice", role: "radiogroup", "aria-label": label, onkeydown: move }, buttons);
  set(value);
  return { group, set };
}

/** A card with a heading; returns {card, body}. */
export function card(title, attributes = {}, ...headerItems) {
  const id = newId("card");
  const body = h("div", { class: "card-body" });
  const header = h("header", {}, h("h2", { id }, title), ...headerItems);
  return { card: h("section", { ...attributes, "aria-labelledby": id }, header, body), body, header };
}

/** 0.1234 → "0.123"; null → an en dash, which reads as "nothing to measure". */
export const fixed = (value, digits = 3) =>
  value === null || value === undefined ? "–" : value.toFixed(digits).replace("-", "−");
export const percent = (value) =>
  value === null || value === undefined ? "–" : `${(100 * value).toFixed(1)} %`;
/** Seconds since 1970 as people write a date and a time. */
export const moment = (seconds) => new Date(seconds * 1000).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
export const count = (value) => value.toLocaleString("en-US");

/** Offer bytes or a blob as a download. */
export function download(name, blob) {
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Call whenever an element comes into sight again, such as that of a tab that was left. */
export function whenBack(element, act) {
  let before = false, inSight = false;
  new IntersectionObserver(([entry]) => {
    if (entry.isIntersecting && !inSight && before) act();
    inSight = entry.isIntersecting;
    before ||= inSight;
  }).observe(element);
}

/** Read a CSS custom property of the studio, such as "--positive". */
export const colour = (name) =>
  getComputedStyle(document.querySelector(".ppap")).getPropertyValue(name).trim();
