// What charts draw of runs: a curve as it fits the axis and the screen, and seeds put together.
import { along, inSight, smoothed, thinned } from "./curves.js";

/** A curve as it is drawn; undefined where it has no place on the axis, null where none is in sight. */
export function prepared(whole, series, { zoom, axis, smoothing, width }) {
  const places = along(series, axis, whole.x);
  if (!places) return undefined;
  const [first, end] = zoom ? inSight(places, zoom) : [0, places.length];
  if (zoom && (places[first] > zoom.to || places[end - 1] < zoom.from)) return null;
  const x = places.slice(first, end);
  const main = (smoothing ? smoothed(whole.m ?? whole.y, smoothing) : whole.y).slice(first, end);
  const raw = thinned({ x, y: whole.y.slice(first, end) }, width);
  const line = smoothing ? thinned({ x, y: main }, width) : raw;
  let low = Infinity, high = -Infinity;
  for (const value of line.y) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return { x, y: main, m: (whole.m ?? whole.y).slice(first, end), line, raw: smoothing ? raw : null, low, edge: low, high };
}

/** Runs that differ in their seed only, two or more of each: {name, colour, dash, members}. */
export function groups(runs) {
  const found = new Map();
  for (const run of runs) if (run.fold) found.set(run.fold, [...(found.get(run.fold) ?? []), run]);
  return [...found.values()].filter((members) => members.length > 1).map((members) => ({ ...members[0], name: groupName(members), members }));
}

/** What the names of some runs have in common, and how many there are. */
function groupName(members) {
  const [first, ...others] = members.map(({ name }) => name);
  let length = 0;
  while (length < first.length && others.every((name) => name[length] === first[length])) length++;
  const common = first.slice(0, length).replace(/[-_. ]+(seed|s)?[-_. ]*\d*$/i, "");
  return `${common || members[0].recipe || first}, ${members.length} seeds`;
}
