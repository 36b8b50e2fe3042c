// Paths that were used last, kept in the browser for whoever asks: newest first, a few.
import { call } from "./client.js";

const MOST = 12;
const known = new WeakMap(); // server → who asks

/** Who asks: on a studio with logins, each user has a list. */
function who(server) {
  if (!known.has(server)) known.set(server, call(server, "browse_folder", {}).then((reply) => reply.who, () => ""));
  return known.get(server);
}

const key = (name, want) => `ppap-recent-${want}-${name}`;

export async function recent(server, want) {
  try {
    const found = JSON.parse(localStorage.getItem(key(await who(server), want)) ?? "[]");
    return Array.isArray(found) ? found.filter((path) => typeof path === "string").slice(0, MOST) : [];
  } catch {
    return []; // nothing may be stored, or something else was
  }
}

export async function remember(server, want, path) {
  if (!path) return;
  const others = (await recent(server, want)).filter((one) => one !== path);
  try {
    localStorage.setItem(key(await who(server), want), JSON.stringify([path, ...others].slice(0, MOST)));
  } catch {
    return; // then the list stays as it is
  }
}
