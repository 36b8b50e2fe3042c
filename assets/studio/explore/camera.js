// Zoom and offset, shared by every mosaic on the page so that they show the same place.

const MAX_ZOOM = 16;
const SETTLING_MS = 350;

export class Camera {
  constructor() {
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    this.filling = null; // the image that fills the room, the others being in a strip
    this.filledAt = -Infinity;
    this.pointer = null; // where the mouse is on a canvas
    this.listeners = [];
  }

  /** Let one image fill the room; null shows all alike. */
  fill(image) {
    // A new batch, where none filled it before, moves nothing that a click was meant for.
    if (image !== this.filling) this.filledAt = performance.now();
    this.filling = image;
    this.fit();
  }

  changed() {
    for (const listener of this.listeners) listener();
  }

  fit() {
    Object.assign(this, { scale: 1, x: 0, y: 0 });
    this.changed();
  }

  /** Whether everything has just moved to another place: a second click was not meant for that. */
  get settling() {
    return performance.now() - this.filledAt < SETTLING_MS;
  }

  /** Zoom by a factor; (cx, cy) in canvas pixels stays where it is. */
  zoom(factor, cx, cy) {
    const scale = Math.max(1, Math.min(MAX_ZOOM, this.scale * factor));
    const ratio = scale / this.scale;
    this.x = cx - ratio * (cx - this.x);
    this.y = cy - ratio * (cy - this.y);
    this.scale = scale;
    if (scale === 1) this.x = this.y = 0;
    this.changed();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.changed();
  }

  /** Keep the picture over the whole canvas. */
  clamp(width, height) {
    this.x = Math.min(0, Math.max(this.x, width * (1 - this.scale)));
    this.y = Math.min(0, Math.max(this.y, height * (1 - this.scale)));
  }
}
