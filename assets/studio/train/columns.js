// The columns of the list of runs: what each shows, how it is sorted, and which of them are chosen.
import { count, h } from "../shared/dom.js";
import { NOTHING, WAYS, from, isValidation, scoreOf } from "./score.js";
import { duration, share } from "./words.js";

const KEY = "ppap.train.columns";
const DOWN = -1, UP = 1;
const number = (value, digits) => (value === null || value === undefined ? NOTHING : value.toFixed(digits).replace("-", "−"));
const day = (seconds) => new Date(1000 * seconds).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
const words = (value) => value || NOTHING;

const score = (key, title, meaning) => ({
  key, title, meaning, first: DOWN, digits: 1, score: true,
  value: (run, way) => scoreOf(run, way)?.[key] ?? null,
  text: (run, way) => `${number(scoreOf(run, way)?.[key], 1)}${isValidation(run, way) ? "*" : ""}`,
  about: (run, way) => from(run, way),
});

const plain = (key, title, meaning, value = (run) => run[key]) => ({ key, title, meaning, first: UP, value: (run) => value(run) || null, text: (run) => words(value(run)), about: (run) => value(run) || "" });

export const dataOf = (run) => run.data ?? (run.dataset === "samples" ? "sample photos" : "");

/** The first two are always there. */
export const COLUMNS = [
  { key: "name", title: "Run", meaning: "", first: UP, always: true, value: (run) => run.name },
  { key: "state", title: "State", meaning: "", first: UP, always: true, value: (run) => ["running", "stopping", "queued", "finished", "stopped", "failed"].indexOf(run.state) },
  score("u_miou", "U-mIoU", "Clusters: mean IoU, %"),
  score("u_accuracy", "U-Acc", "Clusters: pixel accuracy, %"),
  score("l_miou", "L-mIoU", "Linear probe: mean IoU, %"),
  score("l_accuracy", "L-Acc", "Linear probe: pixel accuracy, %"),
  { key: "progress", title: "Step", meaning: "Training step", first: DOWN, value: (run) => share(run), text: (run) => stepText(run), about: (run) => (run.steps ? `Step ${count(run.step)} of ${count(run.steps)}` : "") },
  { key: "time", title: "Time", meaning: "Time taken, or time left", first: DOWN, digits: 0, value: (run) => run.seconds, text: (run) => (run.time_left !== null ? `${duration(run.time_left)} left` : run.seconds === null ? NOTHING : duration(run.seconds)) },
  { key: "speed", title: "Images/s", meaning: "Images per second: now, or on average over the whole run", first: DOWN, digits: 1, value: (run) => run.images_per_second ?? run.mean_speed ?? null, text: (run) => number(run.images_per_second ?? run.mean_speed, 1) },
  { key: "seed", title: "Seed", meaning: "", first: UP, value: (run) => run.seed ?? null, text: (run) => (run.seed === null || run.seed === undefined ? NOTHING : String(run.seed)) },
  plain("recipe", "Recipe", ""),
  plain("rule", "Rule", ""),
  { ...plain("data", "Data", "Data set folder", dataOf), text: (run) => words(dataOf(run).split("/").filter(Boolean).at(-1)) },
  plain("backbone", "Backbone", ""),
  plain("device", "Device", ""),
  { key: "tags", title: "Tags", meaning: "", first: UP, value: (run) => (run.tags ?? []).join(" ") || null, text: (run) => words((run.tags ?? []).join(", ")) },
  { key: "newest", title: "Started", meaning: "", first: DOWN, value: (run) => run.asked, text: (run) => day(run.asked) },
];
const USUAL = ["u_miou", "u_accuracy", "l_miou", "progress", "newest"];
const CHOOSABLE = COLUMNS.filter(({ always }) => !always);

function stepText({ step, steps, state }) {
  if (!steps) return NOTHING;
  return state === "finished" || step === steps ? count(step) : `${count(step)} / ${count(steps)}`;
}

/** Compare by a column; what has no value comes last, either way. valueOf(item): by default a run's. */
export function comparing(column, way, turned, valueOf = (run) => column.value(run, way)) {
  const sign = turned ? -column.first : column.first;
  return (a, b) => {
    const [one, other] = [valueOf(a), valueOf(b)];
    if (one === null || other === null) return (one === null) - (other === null);
    return sign * (typeof one === "string" ? one.localeCompare(other, "en", { numeric: true }) : one - other);
  };
}

/** Which columns are shown, and how clusters came about that scores are of; kept in this browser. */
export class Columns {
  /** changed(): another choice was made. */
  constructor(changed) {
    this.changed = changed;
    const kept = remembered();
    this.chosen = sound(kept.columns) ?? USUAL;
    this.way = isWay(kept.scores) ? kept.scores : "";
    this.ticks = new Map(CHOOSABLE.map(({ key }) => [key, h("input", { type: "checkbox", checked: this.chosen.includes(key), dataset: { column: key }, onchange: () => this.ticked() })]));
    this.ways = h("select", { "aria-label": "Scores of", dataset: { part: "scores-of" }, onchange: () => this.choose(this.chosen, this.ways.value) });
    const options = CHOOSABLE.map(({ key, title, meaning }) => h("label", { title: meaning }, this.ticks.get(key), title));
    const usual = h("button", { type: "button", class: "quiet", onclick: () => this.choose(USUAL, "") }, "Default");
    this.menu = h("details", { class: "columns-menu more" }, h("summary", {}, "Columns"), h("div", { class: "choices" }, h("fieldset", {}, h("legend", {}, "Columns"), options), h("label", { class: "ways" }, "Scores of ", this.ways), usual));
    this.menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.menu.open) return;
      this.menu.open = false;
      this.menu.querySelector("summary").focus();
    });
    document.addEventListener("pointerdown", (event) => {
      if (this.menu.open && !this.menu.contains(event.target)) this.menu.open = false;
    });
    this.known = new Set();
    this.offer([]);
  }

  get shown() {
    return COLUMNS.filter(({ key, always }) => always || this.chosen.includes(key));
  }

  /** Offer the ways in which any of the runs was scored. */
  offer(runs) {
    const found = new Set(["", this.way, ...runs.flatMap(({ scores }) => scores?.rows.map(({ way }) => way) ?? [])]);
    if (found.size === this.known.size && [...found].every((way) => this.known.has(way))) return;
    this.known = found;
    this.ways.replaceChildren(...Object.entries(WAYS).filter(([way]) => found.has(way)).map(([value, title]) => h("option", { value }, title)));
    this.ways.value = this.way;
    this.ways.parentElement.hidden = found.size < 2;
  }

  ticked() {
    this.choose(CHOOSABLE.map(({ key }) => key).filter((key) => this.ticks.get(key).checked), this.way);
  }

  choose(chosen, way) {
    this.set(chosen, way);
    try {
      localStorage.setItem(KEY, JSON.stringify({ columns: chosen, scores: way }));
    } catch {
      // no storage: as long as the page is open
    }
    this.changed();
  }

  set(chosen, way) {
    this.chosen = chosen;
    this.way = way;
    for (const [key, tick] of this.ticks) tick.checked = chosen.includes(key);
    this.ways.value = way;
  }

  /** For a link; empty where all is as usual. */
  view() {
    return { columns: String(this.chosen) === String(USUAL) ? "" : this.chosen.join(",") || "none", scores: this.way };
  }

  /** As a link says, for this visit only; returns the names that make no sense. */
  restore({ columns = "", scores = "" }) {
    const kept = remembered();
    const wanted = columns === "none" ? [] : sound(columns ? columns.split(",") : kept.columns ?? USUAL);
    const way = scores || (isWay(kept.scores) ? kept.scores : "");
    this.set(wanted ?? USUAL, isWay(way) ? way : "");
    return [...(wanted ? [] : ["columns"]), ...(isWay(way) ? [] : ["scores"])];
  }
}

const isWay = (way) => typeof way === "string" && Object.hasOwn(WAYS, way);

/** In their order, or null where one of them is none. */
function sound(keys) {
  if (!Array.isArray(keys) || !keys.every((key) => CHOOSABLE.some((column) => column.key === key))) return null;
  return CHOOSABLE.map(({ key }) => key).filter((key) => keys.includes(key));
}

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {}; // no storage, or not ours
  }
}

