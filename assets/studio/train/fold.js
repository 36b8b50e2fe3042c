// Runs that differ only in their seed, as one: a mean and a deviation over those that have finished.
import { NOTHING, scoreOf } from "./score.js";

/**
 * The groups among runs, the newest first: {key, runs}, with a run for each seed. Of two runs with the
 * same seed the one that has finished counts, or else the newer: it would weigh twice.
 */
export function groups(runs) {
  const byFold = new Map();
  for (const run of runs) {
    if (!run.fold || run.seed === null) continue;
    const seeds = byFold.get(run.fold) ?? new Map();
    const there = seeds.get(run.seed);
    if (!there || (there.state !== "finished" && run.state === "finished")) seeds.set(run.seed, run);
    byFold.set(run.fold, seeds);
  }
  return [...byFold].filter(([, seeds]) => seeds.size > 1).map(([key, seeds]) => ({ key, runs: [...seeds.values()].sort((a, b) => a.seed - b.seed) }));
}

/** What seeds of one run are called together: what their names have in common. */
export function stem(runs) {
  const [first, ...others] = runs.map(({ name }) => name);
  let length = first.length;
  for (const name of others) while (!name.startsWith(first.slice(0, length))) length--;
  const common = first.slice(0, length).replace(/([-_.]?(seed|s))?[-_.]*$/i, "");
  return common.length > 1 ? common : runs[0].recipe || first;
}

/**
 * {mean, deviation, count, runs}: of a column, over the runs that have finished. Of scores only those
 * of one kind count: reports before validations, and one split.
 */
export function meanOf(column, way, runs) {
  let counted = runs.filter(({ state }) => state === "finished").filter((run) => typeof column.value(run, way) === "number");
  if (column.score && counted.length) {
    const kind = ({ scores }) => `${scores.source} ${scores.split}`;
    const best = counted.find(({ scores }) => scores.source === "report") ?? counted[0];
    counted = counted.filter((run) => kind(run) === kind(best) && scoreOf(run, way));
  }
  const values = counted.map((run) => column.value(run, way));
  if (!values.length) return { mean: null, deviation: null, count: 0, runs: counted };
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : null, count: values.length, runs: counted };
}

/** "34.2 ± 0.5 (3)". */
export function meanText({ mean, deviation, count }, digits) {
  if (mean === null) return NOTHING;
  const spread = deviation === null ? "" : ` ± ${deviation.toFixed(digits)}`;
  return `${mean.toFixed(digits)}${spread} (${count})`;
}

/** How that mean came about. */
export function meanAbout({ deviation, count, runs }, members, source) {
  if (!count) return "None of these runs has a result yet.";
  const what = deviation === null ? "One" : `Mean ± standard deviation of ${count}`;
  return `${what} of ${members.length} runs, seeds ${runs.map(({ seed }) => seed).join(", ")}${source ? ` · ${source}` : ""}`;
}
