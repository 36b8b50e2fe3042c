// Curves as arrays: kept short, smoothed, put on another axis, cut to what is looked at, averaged.
// A curve is {x, y}, and m where points were left out: the mean of the stretch each stands for.

const EVENLY = 300; // places at which curves of different steps are averaged

/** What a curve becomes when more of it arrives; thinned where it has more than `most` points. */
export function extended(curve, more, most) {
  if (more.m && curve.x.length && !curve.m) curve.m = [...curve.y];
  if (curve.m || more.m) (curve.m ??= []).push(...(more.m ?? more.y));
  curve.x.push(...more.x);
  curve.y.push(...more.y);
  return curve.x.length > most ? thinned(curve, most / 4) : curve;
}

/** Of every stretch of a long curve the least and the largest, so that peaks stay. */
export function thinned(curve, stretches) {
  const { x, y, m } = curve;
  if (x.length <= 2 * stretches) return curve;
  const kept = { x: [], y: [], m: [] };
  for (let part = 0; part < stretches; part++) {
    const [first, end] = [part, part + 1].map((i) => Math.floor((i * x.length) / stretches));
    let low = first, high = first, sum = 0;
    for (let i = first; i < end; i++) {
      if (y[i] < y[low]) low = i;
      if (y[i] > y[high]) high = i;
      sum += m ? m[i] : y[i];
    }
    for (const i of low === high ? [low] : [Math.min(low, high), Math.max(low, high)]) {
      kept.x.push(x[i]);
      kept.y.push(y[i]);
      kept.m.push(sum / (end - first));
    }
  }
  return kept;
}

/** A curve with a part of it replaced by a finer one; what came since stays. */
export function refined(curve, finer) {
  if (!finer?.x.length) return curve;
  const [first, last] = [finer.x[0], finer.x[finer.x.length - 1]];
  const [before, after] = [lowerBound(curve.x, first), upperBound(curve.x, last)];
  const joined = (a, b) => [...a.slice(0, before), ...b, ...a.slice(after)];
  return { x: joined(curve.x, finer.x), y: joined(curve.y, finer.y), m: joined(curve.m ?? curve.y, finer.m ?? finer.y) };
}

/** An exponential mean, corrected for its beginning; weight 0 changes nothing. */
export function smoothed(values, weight) {
  if (!weight) return values;
  let mean = 0, sum = 0;
  return values.map((value) => {
    mean = weight * mean + (1 - weight) * value;
    sum = weight * sum + (1 - weight);
    return mean / sum;
  });
}

/** Where in sorted values the first stands that is not below one. */
export function lowerBound(values, value) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Where the first stands that is above it. */
function upperBound(values, value) {
  let at = lowerBound(values, value);
  while (at < values.length && values[at] === value) at++;
  return at;
}

/** The index of the nearest of sorted values; −1 where there is none. */
export function nearest(values, value) {
  const at = lowerBound(values, value);
  if (!values.length || at === 0) return values.length ? 0 : -1;
  return at === values.length || value - values[at - 1] <= values[at] - value ? at - 1 : at;
}

/** Between the points of a curve on a straight line; beyond its ends, as at the end. */
export function between(x, y, at) {
  const right = lowerBound(x, at);
  if (right === 0) return y[0];
  if (right === x.length) return y[y.length - 1];
  const share = (at - x[right - 1]) / (x[right] - x[right - 1]);
  return y[right - 1] + share * (y[right] - y[right - 1]);
}

/** What a run's steps are on an axis: {x: steps, y: places}; null where its log does not tell. */
function places(series, axis) {
  const found = axis === "epoch" ? series.step?.epoch ?? series.validation?.epoch : series.step?.seconds;
  return found?.x.length ? found : null;
}

/** A curve's places on an axis, "step", "epoch" or "time"; null where the run's log does not tell. */
export function along(series, axis, steps) {
  if (axis === "step") return steps;
  const known = places(series, axis);
  return known && steps.map((step) => between(known.x, known.y, step));
}

/** The steps between two places on an axis, as [first, last]; null where the log does not tell. */
export function stepsOf(series, axis, from, to) {
  if (axis === "step") return [from, to];
  const known = places(series, axis);
  return known && [Math.floor(between(known.y, known.x, from)), Math.ceil(between(known.y, known.x, to))];
}

/** From the last point before a range to the first after it, as [first, end] of indices. */
export function inSight(x, { from, to }) {
  return [Math.max(0, lowerBound(x, from) - 1), Math.min(x.length, upperBound(x, to) + 1)];
}

/**
 * Curves of several seeds as one, where all of them are known: {x, y: means, low, high}; low and high
 * are a standard deviation away, or the least and the largest. null where they do not overlap.
 */
export function band(curves, extremes) {
  const from = Math.max(...curves.map(({ x }) => x[0]));
  const to = Math.min(...curves.map(({ x }) => x[x.length - 1]));
  if (!(from <= to)) return null;
  const [first] = curves;
  const alike = curves.every(({ x }) => x.length === first.x.length && x.every((value, i) => value === first.x[i]));
  const even = () => Array.from({ length: EVENLY }, (_, i) => from + (i * (to - from)) / (EVENLY - 1));
  const x = alike ? first.x : to > from ? even() : [from];
  const found = { x, y: [], low: [], high: [] };
  x.forEach((at, i) => {
    const values = curves.map((curve) => (alike ? curve.y[i] : between(curve.x, curve.y, at)));
    const mean = values.reduce((a, b) => a + b) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
    found.y.push(mean);
    found.low.push(extremes ? Math.min(...values) : mean - deviation);
    found.high.push(extremes ? Math.max(...values) : mean + deviation);
  });
  return found;
}
