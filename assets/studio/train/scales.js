// Axes: where ticks stand, and numbers in few characters.

/** "-0.5" → "−0.5", with the sign that is as wide as a plus. */
const signed = (text) => text.replace(/^-/, "−");

const HOUR = 3600, DAY = 24 * HOUR;
const UNITS = [["s", 1], ["min", 60], ["h", HOUR], ["days", DAY]];

/** Short for an axis: 0.0012, 12.3, 45k, 1e-7. */
export const short = (value) => signed(shortened(value));

function shortened(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) return value.toExponential(1).replace(".0e", "e");
  if (size >= 1e4) return `${+(value / 1000).toPrecision(3)}k`;
  return String(+value.toPrecision(3));
}

/** As many digits as a reader can use: 0.12346, 2,345.7, 1.2346e-5. */
export function exact(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e9)) return signed(value.toExponential(4).replace(/\.?0+e/, "e"));
  return signed(Number(value.toPrecision(5)).toLocaleString("en-US", { maximumFractionDigits: 7 }));
}

/** Least and largest of numbers, apart even where all are the same. */
export function range(low, high) {
  const room = high > low ? 0 : Math.max(Math.abs(high) * 0.1, 1e-6);
  return { low: low - room, high: high + room };
}

/** Round numbers between two, about `wanted` of them, and two if it can be. */
export function ticks(span, wanted) {
  const found = ticksOf(span, wanted);
  return found.length > 1 ? found : ticksOf(span, wanted + 2);
}

function ticksOf({ low, high }, wanted) {
  const raw = (high - low) / Math.max(1, wanted);
  const ten = 10 ** Math.floor(Math.log10(raw));
  const step = ten * [1, 2, 5, 10].find((factor) => factor * ten >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step && found.length < 50; i++) found.push(i * step);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return found.map((value) => ({ value, text: signed(tickText(value, step, digits)) }));
}

function tickText(value, step, digits) {
  if (value === 0) return "0";
  if (step < 1e-4 || Math.abs(value) >= 1e7) return value.toExponential(2).replace(/\.?0+e/, "e");
  if (Math.abs(value) >= 1e4 && step >= 10) return `${+(value / 1000).toFixed(Math.max(0, 3 - Math.floor(Math.log10(step) + 1e-9)))}k`;
  return value.toFixed(digits);
}

/** The same for a logarithmic axis, of logarithms: powers of ten, or round numbers between them. */
export function logTicks({ low, high }, wanted) {
  if (high - low < 1) {
    const between = ticks({ low: 10 ** low, high: 10 ** high }, wanted);
    return between.filter(({ value }) => value > 0).map(({ value, text }) => ({ value: Math.log10(value), text }));
  }
  const inside = (factors, each = 1) => {
    const found = [];
    for (let power = Math.floor(low); power <= high; power += each) {
      for (const value of factors.map((factor) => factor * 10 ** power)) {
        const place = Math.log10(value);
        if (place >= low - 1e-9 && place <= high + 1e-9) found.push({ value: place, text: short(value) });
      }
    }
    return found;
  };
  const fine = inside([1, 2, 5]);
  return fine.length <= 1.5 * wanted ? fine : inside([1], Math.ceil((high - low) / wanted));
}

/** Seconds in the unit in which a span of them is read best: [name, seconds]. */
export const unitOf = (seconds) => UNITS.findLast(([, size]) => seconds >= 2 * size) ?? UNITS[0];

/** Where on an axis something is, in words: "step 1,200", "epoch 3.25", "2 h 5 min". */
export function placeWords(axis, value) {
  if (axis === "step") return `step ${Math.round(value).toLocaleString("en-US")}`;
  if (axis === "epoch") return `epoch ${+value.toFixed(2)}`;
  return timeWords(value);
}

function timeWords(seconds) {
  if (seconds < 60) return `${+seconds.toFixed(1)} s`;
  if (seconds < HOUR) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / HOUR)} h ${Math.floor((seconds % HOUR) / 60)} min`;
}
