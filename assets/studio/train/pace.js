// How often curves are drawn: many of them take a while, and the eye does not need each point as it
// comes. In the long run drawing takes a small share of the time; a page that rested may draw at once.

const REDRAW_MS = 190; // at least so long between drawings
const SHARE = 0.02; // of the time, in the long run
const RUN_MS = 4; // of drawing, for each run: what is measured here leaves out what the screen takes
const AT_ONCE_MS = 300; // so much of it may be taken in advance

export class Pace {
  constructor() {
    this.drawnAt = -Infinity;
    this.spent = 0; // milliseconds of drawing, less those that were earned back
    this.earnedAt = 0;
  }

  /** Milliseconds until something that has changed is drawn. */
  wait() {
    const now = performance.now();
    this.spent = Math.max(0, this.spent - SHARE * (now - this.earnedAt));
    this.earnedAt = now;
    return Math.max(0, REDRAW_MS - (now - this.drawnAt), (this.spent - AT_ONCE_MS) / SHARE);
  }

  /** Draw so many runs now. */
  draw(runs, work) {
    this.drawnAt = performance.now();
    work();
    this.spent += Math.max(RUN_MS * runs, performance.now() - this.drawnAt);
  }
}
