// How often curves are drawn: many of them take a while, and the eye does not need each point as it
// comes. In the long run drawing takes a small share of the time; a page that rested may draw at once.

const REDRAW_MS = 190; // at least so long between drawings
const SHARE = 0.02; // of the time, in the long run
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

  /** Draw now. */
  draw(work) {
    this.drawnAt = performance.now();
    work();
    this.spent += performance.now() - this.drawnAt;
  }
}
