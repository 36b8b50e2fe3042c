// Words for times and for how far a run is.

export const ACTIVE = ["running", "stopping", "queued"];

export const share = ({ step, steps, state, preparing }) => (state === "finished" ? 1 : preparing ?? (steps ? step / steps : 0));

/** The state of a run in a word, with a number while it prepares. */
export const stateOf = ({ state, preparing }) => (typeof preparing === "number" ? `preparing ${Math.floor(100 * preparing)} %` : state);

/** 95 → "1 min 35 s". */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return minutes < 10 && whole % 60 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days ${hours % 24} h`;
}
