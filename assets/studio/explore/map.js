// The map of all patches (Plotly): coloured by set, image, label or similarity, with the proxy's
// path. The figure is drawn once per batch and only recoloured later, so that zoom survives.
import { ANCHOR, cosine, float32 } from "../shared/codec.js";
import { call } from "../shared/client.js";
import { card, choice, count, fixed, h } from "../shared/dom.js";
import { classLegend } from "./legend.js";
import { MapMotion } from "./mapmotion.js";
import { PALETTE, SET_OF } from "./overlay.js";
import { patchColours, styleOf } from "./styles/index.js";
import { ofCosine, similarityLegend } from "./styles/similarity.js";
import { loadPlotly } from "../shared/plotly.js";
import { imageOf, whereIs } from "./tiles.js";

const THUMB = 96;
const RECOLOUR_AFTER_MS = 200;
const hex = ([r, g, b]) => `rgb(${r},${g},${b})`;

/** Distinct hues for images; neighbours in the list differ in lightness too. */
const imageColour = (i) => `hsl(${(i * 137.5) % 360} 70% ${i % 2 ? 42 : 60}%)`;

/** Whether an overlay has a colour for a patch: on a dark page, black would be none. */
const seen = (rgba, j) => rgba[4 * j + 3] > 0 && rgba[4 * j] + rgba[4 * j + 1] + rgba[4 * j + 2] > 0;

const isDark = () => document.body.classList.contains("dark");

export class PatchMap {
  /**
   * hooks: {onPick(patch), onSelect(Set), getState()}, and where wanted onHover(patch or null),
   * onPlaced(), onColour(key); ask(have) fetches the places, by default with the server's "map".
   */
  constructor(server, hooks, { id = "map", title = "Map", label = "Map of all patches", ask } = {}) {
    this.hooks = hooks;
    this.ask = ask ?? ((have) => call(server, "map", { batch: this.batch.batch, have }));
    this.motion = new MapMotion(this);
    this.colourBy = "set";
    this.by = choice(
      "Colour by",
      [["set", "Set"], ["image", "Image"], ["label", "Label"], ["similarity", "Similarity"], ["overlay", "Overlay", "Same colours as the mosaic's overlay"]],
      "set",
      (key) => {
        this.colourBy = key;
        this.followed = false;
        this.showLegend();
        this.recolourSoon();
        this.hooks.onColour?.(key);
      },
    );
    this.clear = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => this.select(new Set()) }, "Clear lasso");
    this.legend = h("p", { class: "classes", hidden: true });
    const { card: element, body, header } = card(title, { class: "card map" }, this.by.group);
    this.plot = h("div", { id, class: "plot", role: "img", "aria-label": label, dataset: { state: "empty" } });
    this.status = h("p", { class: "help", role: "status" });
    this.bar = h("progress", { max: 1, hidden: true, "aria-label": "Fitting the map" });
    this.thumb = h("canvas", { width: THUMB, height: THUMB });
    this.tipText = h("span", {});
    this.tip = h("div", { class: "tip", hidden: true, "aria-hidden": "true" }, this.thumb, this.tipText);
    body.append(h("div", { class: "plot-holder" }, this.plot, this.motion.ring, this.tip), h("div", { class: "map-status" }, h("div", { class: "row" }, this.status, this.clear), this.bar, this.legend));
    this.element = element;
    this.heading = header.firstChild;
    new ResizeObserver(() => this.drawn && this.plot.clientWidth && window.Plotly?.Plots.resize(this.plot)).observe(this.plot);
  }

  async setBatch(batch, picture) {
    this.batch = batch;
    this.picture = picture;
    this.version = null;
    this.drawn = false;
    this.points = null;
    this.motion.begin();
    this.clear.hidden = true;
    this.by.group.querySelector("[data-value=label]").disabled = !batch.labels;
    if (!batch.labels && this.colourBy === "label") {
      this.colourBy = "set";
      this.by.set("set");
    }
    this.showLegend();
    this.plot.dataset.state = "loading";
    this.status.textContent = "Preparing the map…";
    const mine = (this.turn = (this.turn ?? 0) + 1);
    try {
      await loadPlotly();
      await this.poll(mine);
    } catch (error) {
      if (mine !== this.turn) return;
      this.status.textContent = error.message;
      this.bar.hidden = true;
    }
  }

  showLegend() {
    const items = { label: () => classLegend(this.batch), similarity: similarityLegend, overlay: () => this.overlayLegend() }[this.colourBy]?.() ?? [];
    this.legend.hidden = items.length === 0;
    this.legend.replaceChildren(...items);
  }

  /** Take the colours of overlays that are of the features themselves, and give them back. */
  followStyle() {
    const { onMap } = styleOf(this.hooks.getState().look.style);
    const to = onMap && this.colourBy === "set" ? "overlay" : !onMap && this.followed ? "set" : null;
    if (to) {
      this.followed = to === "overlay";
      this.colourBy = to;
      this.by.set(to);
      this.hooks.onColour?.(to);
    }
    if (!this.batch) return;
    this.showLegend();
    if (to || this.colourBy === "overlay") this.recolourSoon();
  }

  overlayLegend() {
    const { title } = styleOf(this.hooks.getState().look.style);
    return [h("span", { class: "chip" }, `Same colours as the overlay: ${title}`)];
  }

  async poll(mine) {
    for (;;) {
      const reply = await this.ask(this.version);
      if (mine !== this.turn) return;
      if (reply.xy) this.place(reply);
      this.status.textContent = reply.text;
      this.bar.hidden = reply.share === null;
      if (reply.share !== null) this.bar.value = reply.share;
      if (reply.finished) return;
      await new Promise((resolve) => setTimeout(resolve, 700));
      if (mine !== this.turn) return;
    }
  }

  place(reply) {
    const xy = float32(reply.xy);
    this.points = { x: xy.filter((_, i) => i % 2 === 0), y: xy.filter((_, i) => i % 2 === 1) };
    this.version = reply.version;
    this.motion.framed = false; // other places have axes of their own
    this.plot.dataset.state = reply.version;
    this.draw();
    this.hooks.onPlaced?.();
  }

  /** Stop asking; what is drawn is no longer looked at. */
  leave() {
    this.turn = (this.turn ?? 0) + 1;
    this.points = null;
    this.motion.begin();
    this.drawn = false;
  }

  /** Put a ring around a patch; null takes it away. */
  mark(patch) {
    this.motion.mark(patch);
  }

  colours() {
    const { view, step } = this.hooks.getState();
    const n = this.points.x.length;
    const out = new Array(n);
    const dark = isDark();
    const sets = { positive: hex(PALETTE.positive), ambiguous: hex(PALETTE.ambiguous), negative: dark ? "#5b6579" : "#aab2c0" };
    const selection = this.hooks.getState().selection;
    const overlay = this.colourBy === "overlay" ? this.overlayColours() : null;
    for (let j = 0; j < n; j++) {
      if (selection?.size && !selection.has(j)) out[j] = dark ? "#2b3345" : "#e4e8ef";
      else if (overlay) out[j] = seen(overlay, j) ? hex(overlay.subarray(4 * j, 4 * j + 3)) : dark ? "#3a4356" : "#ccd3de";
      else if (this.colourBy === "image") out[j] = imageColour(imageOf(this.batch, j));
      else if (this.colourBy === "label") {
        const label = this.batch.labels[j];
        out[j] = label < 0 ? "rgba(128,128,128,0.35)" : hex(this.batch.colours[label]);
      } else if (!view) out[j] = sets.negative;
      else if (this.colourBy === "similarity") out[j] = hex(ofCosine(cosine(view.levels[Math.min(step, view.levels.length - 1)][j])));
      else {
        const code = view.codes[Math.min(step, view.codes.length - 1)][j];
        out[j] = code === ANCHOR ? hex(PALETTE.anchor) : sets[SET_OF[code]];
      }
    }
    return out;
  }

  /** RGBA of every patch as the mosaic has it at full opacity; null where it has none. */
  overlayColours() {
    const state = this.hooks.getState();
    const { view, step } = state;
    if (!view) return null;
    return patchColours({ ...state, look: { ...state.look, opacity: 1 } }, view, Math.min(step, view.codes.length - 1));
  }

  /** Where the proxies are: the weighted mean of their nearest patches on the map. */
  path() {
    const spots = this.motion.spots();
    return (this.hooks.getState().view?.steps ?? []).map(({ nearest, weights }) => ({
      x: nearest.reduce((sum, j, i) => sum + weights[i] * spots.x[j], 0),
      y: nearest.reduce((sum, j, i) => sum + weights[i] * spots.y[j], 0),
    }));
  }

  /** The path as shapes and labels: they stand above the points, which traces would not. */
  proxyMarks() {
    const { step } = this.hooks.getState();
    const path = this.path();
    const dark = isDark();
    const anchor = hex(PALETTE.anchor);
    const line = (a, b, width, color) => ({ type: "line", x0: a.x, y0: a.y, x1: b.x, y1: b.y, line: { color, width } });
    const dot = (at, r) => ({
      type: "circle",
      xsizemode: "pixel",
      ysizemode: "pixel",
      xanchor: at.x,
      yanchor: at.y,
      x0: -r,
      x1: r,
      y0: -r,
      y1: r,
      fillcolor: anchor,
      line: { color: "#fff", width: 1.5 },
    });
    const pairs = path.slice(1).map((at, t) => [path[t], at]);
    const shapes = [
      ...pairs.map(([a, b]) => line(a, b, 5, "#fff")),
      ...pairs.map(([a, b]) => line(a, b, 2.5, anchor)),
      ...path.map((at, t) => dot(at, t === step ? 8 : 4)),
    ];
    const shown = path.length ? [...new Set([0, Math.min(step, path.length - 1)])] : [];
    const annotations = shown.map((t) => ({
      x: path[t].x,
      y: path[t].y,
      text: `v<sup>${t}</sup>`,
      showarrow: false,
      yshift: t === step ? 19 : -15,
      bgcolor: dark ? "rgba(24,30,43,0.85)" : "rgba(255,255,255,0.85)",
      borderpad: 1,
      font: { size: 12, color: dark ? "#e7ebf4" : "#172033" },
    }));
    return { shapes, annotations };
  }

  draw() {
    const style = getComputedStyle(this.element);
    const ink = style.getPropertyValue("--ink").trim();
    const marks = Math.max(2.5, Math.min(5, 400 / Math.sqrt(this.points.x.length)));
    const patches = {
      type: "scattergl",
      mode: "markers",
      ...this.motion.spots(),
      marker: { size: marks, color: this.colours(), line: { width: 0 } },
      hoverinfo: "none",
      // What is not in the lasso is greyed by colour, so that it stays visible.
      selected: { marker: { opacity: 1 } },
      unselected: { marker: { opacity: 1 } },
    };
    const axis = { visible: false, automargin: false };
    const layout = {
      margin: { l: 4, r: 4, t: 4, b: 4 },
      xaxis: axis,
      yaxis: { ...axis, scaleanchor: this.version === "umap" ? undefined : "x" },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      showlegend: false,
      dragmode: this.plot.layout?.dragmode ?? "lasso",
      uirevision: `${this.batch.batch} ${this.version}`,
      ...this.proxyMarks(),
      modebar: { bgcolor: "rgba(0,0,0,0)", color: "rgba(128,135,150,0.8)", activecolor: hex(PALETTE.positive) },
      font: { family: style.fontFamily, color: ink },
    };
    const config = {
      displaylogo: false,
      responsive: false,
      scrollZoom: true,
      // Named one by one: Plotly's own list has buttons that send the data away.
      modeBarButtons: [["lasso2d", "pan2d", "zoom2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"]],
    };
    window.Plotly.react(this.plot, [patches], layout, config);
    if (!this.listening) this.listen();
    this.drawn = true;
    this.mark(this.motion.marked);
    this.plot.dataset.drawn = String(Number(this.plot.dataset.drawn ?? 0) + 1);
  }

  listen() {
    this.listening = true;
    this.plot.on("plotly_click", ({ points }) => {
      const point = points.find((p) => p.curveNumber === 0);
      if (point) this.hooks.onPick(point.pointIndex ?? point.pointNumber);
    });
    this.plot.on("plotly_selected", (event) => {
      if (!event?.points) return;
      this.select(new Set(event.points.filter((p) => p.curveNumber === 0).map((p) => p.pointIndex ?? p.pointNumber)));
    });
    this.plot.on("plotly_relayout", () => this.mark(this.motion.marked));
    this.plot.on("plotly_deselect", () => this.select(new Set()));
    this.plot.on("plotly_hover", ({ points, event }) => {
      const point = points.find((p) => p.curveNumber === 0);
      if (!point) return;
      this.showTip(point.pointIndex ?? point.pointNumber, event);
      this.hooks.onHover?.(point.pointIndex ?? point.pointNumber);
    });
    this.plot.on("plotly_unhover", () => {
      this.tip.hidden = true;
      this.hooks.onHover?.(null);
    });
    this.element.addEventListener("pointerleave", () => (this.tip.hidden = true));
  }

  select(patches) {
    this.showSelection(patches.size);
    this.hooks.onSelect(patches);
    this.recolourSoon();
  }

  /** Say how many patches are chosen, and offer to let go of them. */
  showSelection(number) {
    this.clear.hidden = number === 0;
    this.clear.textContent = `Clear lasso (${count(number)} patches, framed green)`;
    if (number === 0) this.forgetLasso();
  }

  /** Take away the lasso's line. */
  forgetLasso() {
    if (!this.drawn || !this.plot.layout.selections?.length) return;
    window.Plotly.restyle(this.plot, { selectedpoints: [null] }, [0]);
    window.Plotly.relayout(this.plot, { selections: [] });
  }

  /** The hovered point's patch with some of its surroundings. */
  showTip(patch, event) {
    const { grids, atlas, atlas_patch: side, names, labels, classes } = this.batch;
    const [image, row, column] = whereIs(this.batch, patch);
    // Five patches each way, moved inside the image; of a smaller image all there is.
    const cut = (at, count) => [Math.max(0, Math.min(count - 5, at - 2)), Math.min(5, count)];
    const [top, high] = cut(row, grids[image][0]);
    const [left, wide] = cut(column, grids[image][1]);
    const context = this.thumb.getContext("2d");
    const zoom = THUMB / 5;
    const [x, y] = atlas[image];
    context.clearRect(0, 0, THUMB, THUMB);
    context.drawImage(this.picture, x + left * side, y + top * side, wide * side, high * side, 0, 0, wide * zoom, high * zoom);
    context.strokeStyle = "#fff";
    context.lineWidth = 2;
    context.strokeRect((column - left) * zoom, (row - top) * zoom, zoom, zoom);
    const { view, step } = this.hooks.getState();
    const level = view?.levels[Math.min(step, view.levels.length - 1)][patch];
    const parts = [names[image], `row ${row}, column ${column}`];
    if (level !== undefined) parts.push(`similarity ${fixed(cosine(level), 2)}`);
    if (labels) parts.push(labels[patch] < 0 ? "void" : classes[labels[patch]]);
    this.tipText.textContent = parts.join(" · ");
    this.tip.hidden = false;
    this.tip.dataset.patch = String(patch);
    const box = this.tip.parentElement.getBoundingClientRect();
    const px = (event?.clientX ?? box.left) - box.left;
    const py = (event?.clientY ?? box.top) - box.top;
    this.tip.style.left = `${Math.max(0, Math.min(box.width - 190, px + 14))}px`;
    this.tip.style.top = `${Math.max(0, Math.min(box.height - 110, py + 14))}px`;
  }

  /** Recolour when things have been quiet for a moment: clicks and drags come first. */
  recolourSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.recolour(), RECOLOUR_AFTER_MS);
  }

  recolour() {
    if (!this.drawn) return;
    window.Plotly.update(this.plot, { "marker.color": [this.colours()] }, this.proxyMarks(), [0]);
    this.plot.dataset.coloured = `${this.colourBy}:${this.hooks.getState().step}`;
  }
}
