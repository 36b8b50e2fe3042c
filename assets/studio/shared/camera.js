// Where all pictures of an image look: one camera, so that they zoom and move together.

const MOST = 24;

export class Camera {
  constructor(changed) {
    this.changed = changed;
    this.fit(false);
  }

  fit(told = true) {
    Object.assign(this, { scale: 1, x: 0.5, y: 0.5 });
    if (told) this.changed();
  }

  /** The part of a picture that is seen, in shares of its sides: {left, top, side}. */
  get window() {
    const side = 1 / this.scale;
    return { left: this.x - side / 2, top: this.y - side / 2, side };
  }

  /** Closer by a factor; what lies at a place, in shares of the view, stays there. */
  zoom(factor, across = 0.5, down = 0.5) {
    const before = this.window;
    const [x, y] = [before.left + across * before.side, before.top + down * before.side];
    this.scale = Math.min(MOST, Math.max(1, this.scale * factor));
    const side = 1 / this.scale;
    this.look(x - across * side + side / 2, y - down * side + side / 2);
  }

  /** In shares of the view. */
  move(across, down) {
    const { side } = this.window;
    this.look(this.x + across * side, this.y + down * side);
  }

  look(x, y) {
    const half = 0.5 / this.scale;
    const within = (value) => Math.min(1 - half, Math.max(half, value));
    [this.x, this.y] = [within(x), within(y)];
    this.changed();
  }
}
