// The points of the first map on their way to their places on the second: a slider, and play.
import { h, newId } from "../shared/dom.js";

const SECONDS = 1.8;

export class Morph {
  /** move(share): put the points so far on their way, 0 to 1; moved(share): they rest there. */
  constructor(move, moved) {
    this.move = move;
    this.moved = moved;
    this.share = 0;
    const id = newId("morph");
    this.slider = h("input", {
      id,
      type: "range",
      min: "0",
      max: "1",
      step: "0.01",
      value: "0",
      dataset: { part: "morph" },
      "aria-valuetext": "first map",
      oninput: () => this.drag(Number(this.slider.value)),
      onchange: () => this.moved(this.share),
    });
    this.play = h("button", { type: "button", class: "play", title: "Move the points from one map to the other", onclick: () => this.toggle() });
    this.element = h("div", { class: "morph", hidden: true }, this.play, h("label", { for: id }, "First"), this.slider, h("span", {}, "Second"));
    this.say();
  }

  /** Whether there are two maps to move between. */
  allow(allowed) {
    if (!allowed) this.stop();
    this.slider.disabled = this.play.disabled = !allowed;
  }

  set(share) {
    this.share = share;
    this.slider.value = String(share);
    this.slider.style.setProperty("--share", `${100 * share}%`);
    this.slider.setAttribute("aria-valuetext", share === 0 ? "first map" : share === 1 ? "second map" : `${Math.round(100 * share)} % of the way`);
  }

  drag(share) {
    this.stop();
    this.set(share);
    this.move(share);
  }

  toggle() {
    if (this.playing) {
      this.stop();
      this.moved(this.share);
      return;
    }
    const from = this.share;
    const to = from >= 0.5 ? 0 : 1;
    const long = 1000 * SECONDS * Math.abs(to - from);
    const begin = performance.now();
    const frame = () => {
      const done = Math.min(1, (performance.now() - begin) / long);
      // Slow at both ends, so that the eye gets hold of a point and finds it again.
      const eased = done * done * (3 - 2 * done);
      this.set(from + (to - from) * eased);
      this.move(this.share);
      if (done < 1) {
        this.playing = requestAnimationFrame(frame);
        return;
      }
      this.stop();
      this.moved(this.share);
    };
    this.playing = requestAnimationFrame(frame);
    this.say();
  }

  stop() {
    cancelAnimationFrame(this.playing);
    this.playing = null;
    this.say();
  }

  say() {
    this.play.textContent = this.playing ? "❚❚" : "▶";
    this.play.setAttribute("aria-label", this.playing ? "Pause" : "Move the points from one map to the other");
  }
}
