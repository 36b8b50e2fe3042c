// The address of what is on screen: the tab, what is looked at in it, and its half filled form. A
// reload, Back and Forward, and a link that somebody was given come back to it.
import { openTab, tabOf } from "./tabs.js";

const TITLES = { explore: "Explore", study: "Study", train: "Train", evaluate: "Evaluate", segment: "Segment" };
const FIRST = "explore"; // an address without a tab is of this one
const FORM = "form.";
const KEPT = "ppap.view."; // of the tabs that are not looked at, in this window's storage
const LONGEST = 1800; // a longer link is cut by mail programs: then the form stays in this window
const REFINE_MS = 400;
const TRIES = 50;
const TRY_AGAIN_MS = 100;

const pages = new Map();
const waiting = new Map(); // by tab: the timer of its next refinement
let current = FIRST;
let over = false; // somebody logs out

// --- what pages call

/**
 * A page takes part once it is there. page: {names, state() → {view, form}, restore(view, said),
 * title()}; view and form are objects of texts, empty ones are left out. Returns what the page
 * shall begin with: {view, form, said}; said are sentences about the link.
 *
 * names: of what may be in its view; null where the page checks that itself. Back and Forward
 * restore views only: nobody loses what was typed since.
 */
export function join(id, page) {
  pages.set(id, page);
  const wanted = beginning(id);
  // What is remembered stands until the page has something to say.
  return { ...sound(page, wanted.view), form: wanted.form };
}

/** Something else is looked at: Back returns to what was before. */
export function moved(id) {
  write(id, true);
}

/** What follows replaces what is on screen: Back returns to it as it is now. */
export function parted(id) {
  write(id, false);
  if (id === current) history.pushState(history.state, "", location.href);
}

/** The same is looked at in another way, or a form was typed in; the newest of many calls counts. */
export function refined(id, soon = REFINE_MS) {
  clearTimeout(waiting.get(id));
  waiting.set(id, setTimeout(() => write(id, false), soon));
}

/** The link to a page's present view and form. */
export const linkTo = (id) => `${location.origin}${location.pathname}${searchOf(id, stateOf(id))}`;

/** How a link says it cannot be followed in full. */
export const leftOut = (names) => (names.length ? [`Some parts of the link are not valid and were ignored: ${names.join(", ")}.`] : []);

// --- views as texts

const filled = (object) => Object.fromEntries(Object.entries(object ?? {}).filter(([, value]) => value !== undefined && value !== null && value !== "").map(([name, value]) => [name, String(value)]));

function stateOf(id) {
  const { view, form } = pages.get(id).state();
  return { view: filled(view), form: filled(form) };
}

function searchOf(id, { view, form }) {
  const query = new URLSearchParams(ours());
  if (id !== FIRST) query.set("tab", id);
  for (const [name, value] of Object.entries(view)) query.set(name, value);
  const short = new URLSearchParams(query);
  for (const [name, value] of Object.entries(form)) query.set(FORM + name, value);
  const text = String(query).length > LONGEST ? String(short) : String(query);
  return text ? `?${text}` : "";
}

/** What gradio understands, such as __theme, stays. */
const ours = () => [...new URLSearchParams(location.search)].filter(([name]) => name.startsWith("__"));

// Not "in": every object has a constructor.
const isTab = (name) => Object.hasOwn(TITLES, name);

/** {tab, view, form} of the address; where this window wrote it, all of the form. */
function here() {
  const kept = history.state?.ppap;
  if (kept && kept.search === location.search && isTab(kept.tab)) return kept;
  const view = {};
  const form = {};
  const query = new URLSearchParams(location.search);
  const tab = isTab(query.get("tab")) ? query.get("tab") : FIRST;
  for (const [name, value] of query) {
    if (name.startsWith("__") || (name === "tab" && isTab(value))) continue;
    if (name.startsWith(FORM)) form[name.slice(FORM.length)] = value;
    else view[name] = value;
  }
  return { tab, view, form };
}

function sound(page, view) {
  if (!page.names) return { view, said: [] };
  const odd = Object.keys(view).filter((name) => !page.names.includes(name));
  return { view: Object.fromEntries(Object.entries(view).filter(([name]) => page.names.includes(name))), said: leftOut(odd) };
}

// --- what is kept

function remembered(id) {
  try {
    const { view, form } = JSON.parse(sessionStorage.getItem(KEPT + id)) ?? {};
    return { view: filled(view), form: filled(form) };
  } catch {
    return { view: {}, form: {} }; // no storage, or not ours
  }
}

function forget() {
  over = true;
  Object.keys(TITLES).forEach((id) => sessionStorage.removeItem(KEPT + id));
}

function remember(id, state) {
  if (over) return;
  try {
    sessionStorage.setItem(KEPT + id, JSON.stringify(state));
  } catch {
    // no storage, or a full one: the link holds what fits
  }
}

function beginning(id) {
  const asked = here();
  const kept = remembered(id);
  if (asked.tab !== id) return kept;
  return { view: asked.view, form: Object.keys(asked.form).length ? asked.form : kept.form };
}

// --- the browser's history

function write(id, push) {
  clearTimeout(waiting.get(id));
  const page = pages.get(id);
  if (!page) return;
  const state = stateOf(id);
  remember(id, state);
  if (id !== current) return;
  enter(id, state, push);
}

function enter(id, state, push) {
  const search = searchOf(id, state);
  const same = JSON.stringify(here().view) === JSON.stringify(state.view) && here().tab === id;
  const entry = { ...history.state, ppap: { tab: id, ...state, search } };
  const url = `${location.pathname}${search}`;
  if (push && !same) history.pushState(entry, "", url);
  else history.replaceState(entry, "", url);
  retitle();
}

function retitle() {
  const title = pages.get(current)?.title?.() ?? "";
  document.title = [TITLES[current], title, "PPAP Studio"].filter(Boolean).join(" · ");
}

/** Somebody has chosen a tab. */
function chosen(id) {
  if (id === current) return;
  // What was typed last still belongs to the tab that is left.
  if (pages.has(current)) write(current, false);
  current = id;
  enter(id, pages.has(id) ? stateOf(id) : remembered(id), true);
}

function returned() {
  const { tab, view } = here();
  show(tab);
  const page = pages.get(tab);
  if (page && JSON.stringify(stateOf(tab).view) !== JSON.stringify(view)) {
    const { view: fine, said } = sound(page, view);
    page.restore(fine, said);
  }
  retitle();
}

/** Open a tab that nobody clicked; at the beginning gradio's buttons may not be there yet. */
async function show(tab) {
  if (tab === current) return;
  if (pages.has(current)) remember(current, stateOf(current));
  current = tab; // first: the click below is nobody's choice
  for (let i = 0; i < TRIES && current === tab && !document.getElementById(tab)?.checkVisibility(); i++) {
    openTab(TITLES[tab]);
    await new Promise((resolve) => setTimeout(resolve, TRY_AGAIN_MS));
  }
}

const idOf = (title) => Object.keys(TITLES).find((id) => TITLES[id] === title) ?? null;

document.addEventListener("click", (event) => {
  const id = idOf(tabOf(event.target));
  if (id) chosen(id);
  // Whoever logs in next in this window begins with empty forms.
  if (event.target.closest?.("a[href='logout']")) forget();
}, true);
addEventListener("popstate", returned);
// Timers do not outlive a page.
addEventListener("pagehide", () => pages.has(current) && write(current, false));
// On a slow network somebody may have clicked a tab before this script was there.
const early = idOf(document.querySelector("button[role=tab][aria-selected=true]")?.textContent.trim());
if (early && early !== FIRST) chosen(early);
else show(here().tab);
retitle();
