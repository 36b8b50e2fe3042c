// The runs' checkpoints as a list to choose from.

/** What a list's choice is called: a run's name and which of its checkpoints. */
const keyOf = (run, which) => JSON.stringify([run, which]);

/** Options of a list, for the checkpoints that the server told of. */
export const runOptions = (checkpoints) =>
  checkpoints.flatMap(({ run, which, step, unlearnt }) =>
    which.map((one) => [keyOf(run, one), `${run}: ${one}${step === null ? "" : `, step ${step}`}${unlearnt ? ", not fully trained" : ""}`]),
  );

/** Take a run's first checkpoint in a list; returns what is in the way. */
export function takeCheckpoint(list, checkpoints, name) {
  const found = checkpoints.find(({ run }) => run === name);
  if (!found) return `${name} has no checkpoint yet.`;
  list.value = keyOf(name, found.which[0]);
  return "";
}
