// The points of a map on their way to other places, and the ring around one of them.
import { h } from "../shared/dom.js";

export class MapMotion {
  /** map: a PatchMap, with its plot and its points. */
  constructor(map) {
    this.map = map;
    this.target = null; // where every point goes, {x, y}
    this.share = 0; // how far it has gone
    this.framed = false; // whether the axes hold still for it
    this.ring = h("i", { class: "map-ring", hidden: true, "aria-hidden": "true" });
  }

  /** Other points are to come. */
  begin() {
    this.target = null;
    this.share = 0;
    this.framed = false;
    this.mark(null);
  }

  /** Where the points can go, {x, y} of every patch; null: nowhere, they are where they belong. */
  setTarget(target) {
    if (!target) this.moveTo(0);
    this.target = target;
    if (!target) this.share = 0;
  }

  /** Put every point so far on its way to its target, 0 to 1. */
  moveTo(share) {
    const { map } = this;
    if (!map.drawn || !this.target) return;
    this.share = share;
    const { x, y } = this.spots();
    window.Plotly.update(map.plot, { x: [x], y: [y] }, { ...map.proxyMarks(), ...this.frame() }, [0]);
    map.plot.dataset.share = String(share);
    this.mark(this.marked);
  }

  /** Axes that hold still while points move, unless somebody has zoomed. */
  frame() {
    const { xaxis, yaxis } = this.map.plot._fullLayout;
    if (this.share > 0 && !this.framed && xaxis.autorange && yaxis.autorange) {
      this.framed = true;
      return { "xaxis.range": this.reach("x"), "yaxis.range": this.reach("y") };
    }
    if (this.share > 0 || !this.framed) return {};
    this.framed = false;
    return { "xaxis.autorange": true, "yaxis.autorange": true };
  }

  /** From the least to the most of all places that points have on their way, with a margin. */
  reach(name) {
    const all = [...this.map.points[name], ...this.target[name]];
    const [low, high] = [all.reduce((a, b) => Math.min(a, b)), all.reduce((a, b) => Math.max(a, b))];
    return [low - 0.04 * (high - low), high + 0.04 * (high - low)];
  }

  /** Where the points are drawn. */
  spots() {
    const { map, target, share } = this;
    if (!target || share === 0) return map.points;
    const between = (from, to) => from.map((value, j) => value + share * (to[j] - value));
    return { x: between(map.points.x, target.x), y: between(map.points.y, target.y) };
  }

  /** Put a ring around a patch; null takes it away. */
  mark(patch) {
    this.marked = patch;
    const { map, ring, target, share } = this;
    const axes = map.plot?._fullLayout;
    ring.hidden = patch === null || patch === undefined || !map.drawn || !axes?.xaxis;
    if (ring.hidden) return;
    const at = (name) => map.points[name][patch] + (target ? share * (target[name][patch] - map.points[name][patch]) : 0);
    ring.style.left = `${axes.xaxis._offset + axes.xaxis.l2p(at("x"))}px`;
    ring.style.top = `${axes.yaxis._offset + axes.yaxis.l2p(at("y"))}px`;
    ring.dataset.patch = String(patch);
  }
}
