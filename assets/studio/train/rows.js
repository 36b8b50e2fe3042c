// The rows of the list: a run, or runs that differ only in their seed.
import { h } from "../shared/dom.js";
import { SAMPLE } from "../shared/sample.js";
import { meanAbout, meanOf, meanText, stem } from "./fold.js";
import { chips } from "./notes.js";
import { from, isValidation } from "./score.js";
import { ACTIVE, share, stateOf } from "./words.js";

const whatOf = ({ recipe, rule, backbone }) => [recipe, rule, backbone].filter(Boolean).join(" · ");

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export class Rows {
  /** hooks: {open(name), tick(names, on), unfold(key), tag(tag), queue}. */
  constructor(hooks) {
    this.hooks = hooks;
    this.runs = new Map();
    this.folds = new Map();
  }

  /** Let go of the rows of all other runs. */
  keep(names) {
    for (const name of this.runs.keys()) if (!names.has(name)) this.runs.delete(name);
  }

  /** look: {shown, columns, way, current, checked, colours, unfolded, waiting}; columns: as a text. */
  row(item, look) {
    return item.run ? this.runRow(item.run, Boolean(item.inside), look) : this.foldRow(item.group, look);
  }

  // --- a run

  runRow(run, inside, look) {
    let row = this.runs.get(run.name);
    if (!row) this.runs.set(run.name, (row = this.newRun(run.name)));
    const { parts } = row;
    const current = run.name === look.current;
    const ticked = look.checked.has(run.name);
    const colour = look.colours.get(run.name) ?? "";
    // Of hundreds most stay as they are.
    const seen = [current, inside, ticked, colour, look.waiting > 1, look.columns].join();
    if (parts.run === run && parts.seen === seen && parts.tick.checked === ticked) return row;
    Object.assign(parts, { run, seen });
    row.classList.toggle("current", current);
    row.classList.toggle("inside", inside);
    parts.open.setAttribute("aria-current", String(current));
    parts.tick.checked = ticked;
    parts.tick.style.setProperty("--run", colour);
    this.hooks.queue.placeMoves(parts.moves, run, look.waiting);
    row.dataset.state = run.state;
    put(parts.what, inside ? `seed ${run.seed}` : whatOf(run));
    parts.badge.className = `badge ${run.state}`;
    put(parts.badge, run.state === "queued" && run.position ? `queued #${run.position}` : stateOf(run));
    parts.badge.title = run.state === "queued" && !run.position ? "SLURM decides when it starts" : "";
    parts.bar.hidden = !["running", "stopping"].includes(run.state);
    parts.bar.value = share(run);
    const tags = run.tags ?? [];
    if (parts.tags.dataset.tags !== tags.join(" ")) {
      parts.tags.dataset.tags = tags.join(" ");
      parts.tags.replaceChildren(...chips(tags, this.hooks.tag));
    }
    parts.tags.title = run.note ?? "";
    this.cells(row, look, (column) => ({ text: column.text(run, look.way), about: column.about?.(run, look.way) ?? "" }));
    return row;
  }

  newRun(name) {
    const tick = h("input", { type: "checkbox", "aria-label": `Draw and compare ${name}`, onchange: () => this.hooks.tick([name], tick.checked) });
    const what = h("span", { class: "what" });
    const open = h("button", { type: "button", class: "open", onclick: () => this.hooks.open(name) }, h("span", { class: "name" }, name), what);
    const badge = h("span", {});
    const bar = h("progress", { max: 1, "aria-label": `Progress of ${name}` });
    const tags = h("span", { class: "tags" });
    const moves = this.hooks.queue.moves(name);
    const sample = name === SAMPLE;
    if (sample) open.firstChild.replaceChildren("Sample run ", h("span", { class: "badge sample" }, "Sample"));
    tick.disabled = sample; // its curves are drawn when it is looked at
    const row = h("tr", { role: "row", class: sample ? "sample" : "", dataset: { run: name } }, ...this.fixedCells(tick, [open, tags], [badge, moves, bar]));
    row.parts = { tick, what, open, badge, bar, tags, moves };
    return row;
  }

  // --- runs that differ only in their seed

  foldRow(group, look) {
    let row = this.folds.get(group.key);
    if (!row) this.folds.set(group.key, (row = this.newFold(group.key)));
    const { parts } = row;
    const { runs } = group;
    parts.runs = runs;
    const open = look.unfolded.has(group.key);
    const ticked = runs.filter(({ name }) => look.checked.has(name)).length;
    row.classList.toggle("current", !open && runs.some(({ name }) => name === look.current));
    parts.open.setAttribute("aria-expanded", String(open));
    put(parts.name, stem(runs));
    put(parts.seeds, `${runs.length} seeds`);
    put(parts.what, whatOf(runs[0]));
    parts.tick.checked = ticked === runs.length;
    parts.tick.indeterminate = ticked > 0 && ticked < runs.length;
    parts.tick.setAttribute("aria-label", `Draw and compare all seeds of ${stem(runs)}`);
    const finished = runs.filter(({ state }) => state === "finished").length;
    const active = runs.some(({ state }) => ACTIVE.includes(state));
    parts.badge.className = `badge ${finished === runs.length ? "finished" : active ? "running" : ""}`;
    put(parts.badge, finished === runs.length ? "all finished" : `${finished} of ${runs.length} finished`);
    this.cells(row, look, (column) => this.folded(column, look.way, runs));
    return row;
  }

  newFold(key) {
    const parts = { tick: null, name: h("span", {}), seeds: h("span", { class: "seeds" }), what: h("span", { class: "what" }), badge: h("span", {}) };
    parts.tick = h("input", { type: "checkbox", onchange: () => this.hooks.tick(parts.runs.map(({ name }) => name), parts.tick.checked) });
    parts.open = h("button", { type: "button", class: "open fold-open", title: "Show its seeds", onclick: () => this.hooks.unfold(key) }, h("span", { class: "name" }, parts.name, " ", parts.seeds), parts.what);
    const row = h("tr", { role: "row", class: "fold", dataset: { fold: key } }, ...this.fixedCells(parts.tick, [parts.open], [parts.badge]));
    row.parts = parts;
    return row;
  }

  /** A column's text for several seeds. */
  folded(column, way, runs) {
    if ("digits" in column && column.key !== "time") {
      const mean = meanOf(column, way, runs);
      const mark = column.score && mean.count && isValidation(mean.runs[0], way) ? "*" : "";
      return { text: meanText(mean, column.digits) + mark, about: meanAbout(mean, runs, column.score && mean.count ? from(mean.runs[0], way) : "") };
    }
    if (column.key === "seed") return { text: runs.map(({ seed }) => seed).join(", "), about: "" };
    const texts = [...new Set(runs.map((run) => column.text(run, way)))];
    if (texts.length === 1) return { text: texts[0], about: column.about?.(runs[0], way) ?? "" };
    if (column.key === "newest") return { text: column.text(runs.reduce((a, b) => (a.asked > b.asked ? a : b)), way), about: "The newest of these runs" };
    return { text: "…", about: texts.join(" · ") };
  }

  /** What several seeds are sorted by: the mean of numbers, or else the first of those that are shown. */
  groupValue(column, way, group, shown) {
    return column.score || column.key === "speed" ? meanOf(column, way, group.runs).mean : column.value(shown[0], way);
  }

  // --- both

  fixedCells(tick, name, state) {
    return [h("td", { role: "cell", class: "of-tick" }, tick), h("td", { role: "cell", class: "of-name" }, name), h("td", { role: "cell", class: "of-state" }, state)];
  }

  /** The cells of the columns that are chosen. */
  cells(row, { shown }, tell) {
    const wanted = shown.filter(({ always }) => !always);
    row.parts.cells ??= new Map();
    const { cells } = row.parts;
    const elements = wanted.map((column) => {
      let cell = cells.get(column.key);
      if (!cell) cells.set(column.key, (cell = h("td", { role: "cell", class: `of-${column.key}`, dataset: { title: column.title } })));
      const { text, about } = tell(column);
      put(cell, text);
      if (cell.title !== about) cell.title = about;
      return cell;
    });
    const there = [...row.children].slice(3);
    if (there.length !== elements.length || there.some((cell, i) => cell !== elements[i])) row.replaceChildren(...[...row.children].slice(0, 3), ...elements);
  }
}
