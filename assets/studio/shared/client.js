// Calls to the server: one at a time where only the newest answer matters, and long jobs.

export class Refused extends Error {
  constructor(reply) {
    super(reply.error);
    this.field = reply.field ?? null;
    this.offers = reply.offers ?? [];
    this.gone = reply.gone ?? false;
  }
}

/** Call a server function; an {error} reply becomes an exception with the server's sentence. */
export async function call(server, name, argument) {
  let reply;
  try {
    reply = await server[name](argument);
  } catch (error) {
    throw new Refused({ error: `The studio is not responding (${error?.message ?? error}). Is it still running?` });
  }
  if (reply === null || typeof reply !== "object") {
    throw new Refused({ error: "The studio is not responding. Is it still running?" });
  }
  if (reply.error) throw new Refused(reply);
  return reply;
}

/**
 * Runs `work(argument)` for the newest argument only: while one call is under way, later ones
 * replace each other and the last is sent when the answer is in. Sliders never queue up.
 */
export function latestOnly(work) {
  let busy = false;
  let waiting = null;
  return async function ask(argument) {
    if (busy) {
      waiting = { argument };
      return;
    }
    busy = true;
    try {
      await work(argument);
    } finally {
      busy = false;
      if (waiting) {
        const next = waiting.argument;
        waiting = null;
        ask(next);
      }
    }
  };
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// By page, its last request to load. The server gives up a page's older ones, so the next is sent when
// that is taken in: on their way the two could cross, and the newer would be given up.
const sent = new Map();

function send(server, request, isCurrent) {
  const before = sent.get(request.page) ?? Promise.resolve();
  const answer = before.then(() => (isCurrent() ? call(server, "load", request) : null));
  sent.set(request.page, answer.catch(() => null));
  return answer;
}

/** Start a job on the server and follow it: onProgress(text, share, status, job) until it is done. */
export async function follow(server, request, onProgress, isCurrent) {
  const begun = await send(server, request, isCurrent);
  if (!begun) return null;
  const { job } = begun;
  for (let wait = 60; ; wait = Math.min(wait * 1.3, 500)) {
    const status = await call(server, "progress", job);
    if (!isCurrent()) return null;
    if (status.state === "done") return status.result;
    if (status.state === "cancelled") return null;
    onProgress(status.text, status.share, status, job);
    await pause(wait);
  }
}
