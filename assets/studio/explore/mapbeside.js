// The map of the second features: it starts from the first's places, so that a patch can be followed
// by eye. Hover, click and lasso are shared, and the first map's points can move to the second's places.
import { call } from "../shared/client.js";
import { h } from "../shared/dom.js";
import { PatchMap } from "./map.js";
import { Morph } from "./morph.js";

export class MapBeside {
  /** first: the map of the first features; beside: the second features. */
  constructor(server, first, beside) {
    this.first = first;
    this.beside = beside;
    const { page } = beside;
    const ask = (have) => call(server, "map_beside", { batch: page.state.batch.batch, beside: beside.batch.batch, have });
    const hooks = {
      getState: () => beside.state,
      onPick: (patch) => page.pick(beside.toFirst(patch)),
      onSelect: (patches) => this.selectedHere(patches),
      onHover: (patch) => this.first.mark(patch === null ? null : beside.toFirst(patch)),
      onPlaced: () => this.placed(),
    };
    this.map = new PatchMap(server, hooks, { id: "beside-map", title: "Second map", label: "Map of all patches in the second features", ask });
    this.map.by.group.hidden = true; // coloured as the first
    this.morph = new Morph((share) => this.moving(share), () => page.remember());
    this.morph.allow(false);
    first.element.querySelector(".map-status").append(this.morph.element);
    Object.assign(first.hooks, {
      onHover: (patch) => beside.batch && this.map.mark(patch === null ? null : beside.toSecond(patch)),
      onPlaced: () => this.placed(),
      onColour: (key) => this.colour(key),
    });
    this.element = h("div", { class: "maps" }, first.element);
  }

  setBatch(batch, picture) {
    this.element.classList.add("two");
    this.first.heading.textContent = "First map";
    this.element.append(this.map.element);
    this.morph.element.hidden = this.beside.kind === "same"; // the same places
    this.morph.allow(false);
    this.colour(this.first.colourBy);
    // The first one comes first, and this one starts from it.
    if (this.first.turn) this.map.setBatch(batch, picture);
    else this.waiting = { batch, picture };
  }

  /** The first map begins anew. */
  firstSet() {
    if (!this.waiting) return;
    const { batch, picture } = this.waiting;
    this.waiting = null;
    if (this.beside.batch === batch) this.map.setBatch(batch, picture);
  }

  /** Nothing stands beside the first any more, or not yet. */
  drop() {
    this.waiting = null;
    this.element.classList.remove("two");
    this.first.heading.textContent = "Map";
    this.map.leave();
    this.map.element.remove();
    this.morph.element.hidden = true;
    this.morph.allow(false);
    this.first.motion.setTarget(null);
    this.first.mark(null);
  }

  colour(key) {
    if (!this.beside.batch) return;
    this.map.colourBy = key === "label" && !this.beside.batch.labels ? "set" : key;
    this.map.recolourSoon();
  }

  /** One of the maps has new places. */
  placed() {
    const { points } = this.map;
    if (!points || !this.first.points || !this.beside.forward) return;
    const along = (values) => Float32Array.from(this.beside.forward, (partner) => values[partner]);
    this.first.motion.setTarget({ x: along(points.x), y: along(points.y) });
    this.morph.allow(this.beside.kind !== "same");
    if (this.morph.share > 0) this.moving(this.morph.share);
  }

  moving(share) {
    this.first.motion.moveTo(share);
  }

  /** A lasso on the second map holds patches of the first, too. */
  selectedHere(patches) {
    this.first.forgetLasso();
    this.first.select(this.beside.selected(patches));
  }

  /** Patches were chosen, on whichever map. */
  selected(patches) {
    if (!this.beside.batch) return;
    this.map.showSelection(patches.size);
    this.map.recolourSoon();
  }

  /** A patch of the first is hovered in a mosaic. */
  mark(patch, second) {
    this.first.mark(patch);
    if (this.beside.batch) this.map.mark(second);
  }

  recolourSoon() {
    this.map.recolourSoon();
  }
}
