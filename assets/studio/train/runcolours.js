// Which colour a run's curve has: the same wherever and whenever it is drawn, and no two alike.

// Told apart in light and in dark, by people who see colours differently, too.
const COLOURS = ["#3d7bff", "#dc267f", "#fe8100", "#1a9e77", "#8a5cf6", "#b08900", "#0aa2c0", "#d6453d"];
const DASHES = [[], [6, 3], [2, 2]]; // of curves whose colours are in use
const SLOTS = COLOURS.length * DASHES.length;
const KEY = "ppap.run-colours";
const KEPT = 500; // runs whose colours a browser remembers

const look = (slot) => ({ colour: COLOURS[slot % COLOURS.length], dash: DASHES[Math.floor(slot / COLOURS.length)] });

export class RunColours {
  constructor() {
    this.slots = new Map(remembered());
    this.shown = new Set(); // what is drawn already keeps its colour before others get theirs back
  }

  /**
   * Colours for runs that are drawn together, as {name → {colour, dash}}. A run keeps the one it had;
   * a new one gets that of its place among all runs, or else the first that is free.
   */
  of(drawn, all) {
    const taken = new Set();
    const found = new Map();
    const give = (name, slot) => {
      taken.add(slot);
      found.set(name, slot);
    };
    for (const name of [...drawn].sort((a, b) => this.shown.has(b) - this.shown.has(a))) {
      const slot = this.slots.get(name);
      if (slot !== undefined && !taken.has(slot)) give(name, slot);
    }
    for (const name of drawn) {
      if (found.has(name)) continue;
      const usual = Math.max(0, all.indexOf(name)) % COLOURS.length;
      const free = [usual, ...Array(SLOTS).keys()].find((slot) => !taken.has(slot));
      give(name, free ?? usual);
    }
    this.remember(found);
    this.shown = new Set(drawn);
    return new Map(drawn.map((name) => [name, look(found.get(name))]));
  }

  remember(found) {
    const news = [...found].filter(([name, slot]) => this.slots.get(name) !== slot);
    if (!news.length) return;
    for (const [name, slot] of news) {
      this.slots.delete(name); // the newest last
      this.slots.set(name, slot);
    }
    try {
      localStorage.setItem(KEY, JSON.stringify([...this.slots].slice(-KEPT)));
    } catch {
      // no storage, or a full one: colours last as long as the page
    }
  }
}

function remembered() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY)) ?? [];
    return found.filter((one) => Array.isArray(one) && typeof one[0] === "string" && Number.isInteger(one[1]) && one[1] >= 0 && one[1] < SLOTS);
  } catch {
    return []; // no storage, or not ours
  }
}
