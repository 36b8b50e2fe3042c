// How many patches have which similarity to the proxy, with Φ and Ψ as lines.
import { card, fixed, h } from "../shared/dom.js";
import { cosine } from "../shared/codec.js";

const BINS = 64; // four similarity levels each
const WIDTH = 360;
const HEIGHT = 150;
const BOTTOM = 20;
const TOP = 20;
const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

export class Histogram {
  constructor(title = "Similarity to the proxy") {
    const { card: element, body, header } = card(title, { class: "card histogram" });
    this.plot = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", preserveAspectRatio: "none" });
    this.bars = Array.from({ length: BINS }, () => svg("rect", {}));
    this.lines = ["psi", "phi"].map((name) => ({
      name,
      line: svg("line", { class: name, y1: TOP - 4, y2: HEIGHT - BOTTOM }),
      text: svg("text", { class: name, y: 11 }),
    }));
    this.plot.append(...this.bars);
    this.ticks = [-1, -0.5, 0, 0.5, 1].map((value) => svg("text", { class: "tick", y: HEIGHT - 5 }, String(value).replace("-", "−")));
    this.plot.append(...this.ticks);
    this.setRange(-0.5);
    for (const { line, text } of this.lines) this.plot.append(line, text);
    body.append(h("div", { class: "plot" }, this.plot), h("p", { class: "help" }, "Bar height follows the square root of the number of patches."));
    this.element = element;
    this.heading = header.firstChild;
  }

  /** Cosines run from −1, but hardly ever below −0.5: the axis begins there while nothing is. */
  setRange(low) {
    this.low = low;
    this.x = (value) => ((value - low) / (1 - low)) * WIDTH;
    this.ticks.forEach((tick, i) => {
      const value = -1 + 0.5 * i;
      tick.setAttribute("x", String(this.x(value)));
      tick.setAttribute("text-anchor", value === low ? "start" : value === 1 ? "end" : "middle");
      tick.setAttribute("visibility", value < low ? "hidden" : "visible");
    });
    for (const bar of this.bars) bar.setAttribute("width", String(this.x(cosine(4)) - this.x(cosine(0)) - 0.6));
  }

  setView(view, step) {
    const numbers = view.steps[step];
    const counts = new Uint32Array(BINS);
    const levels = view.levels[step];
    for (let j = 0; j < levels.length; j++) counts[levels[j] >> 2]++;
    counts[levels[view.anchor] >> 2]--; // the anchor is in none of its own sets
    const low = counts.subarray(0, BINS / 4).some((number) => number > 0) ? -1 : -0.5;
    if (low !== this.low) this.setRange(low);
    const most = Math.sqrt(Math.max(...counts, 1));
    const room = HEIGHT - BOTTOM - TOP;
    counts.forEach((number, bin) => {
      const height = (Math.sqrt(number) / most) * room;
      const middle = cosine(bin * 4 + 2);
      const set = middle > numbers.phi ? "positive" : middle > numbers.psi ? "ambiguous" : "negative";
      const bar = this.bars[bin];
      bar.setAttribute("x", String(this.x(cosine(bin * 4))));
      bar.setAttribute("visibility", cosine(bin * 4 + 2) < low ? "hidden" : "visible");
      bar.setAttribute("y", String(HEIGHT - BOTTOM - height));
      bar.setAttribute("height", String(height));
      bar.setAttribute("class", set);
    });
    const both = { phi: numbers.phi, psi: numbers.psi };
    for (const { name, line, text } of this.lines) {
      const x = this.x(Math.max(low, Math.min(1, both[name])));
      line.setAttribute("x1", String(x));
      line.setAttribute("x2", String(x));
      // The smaller threshold's label stands left of its line, the larger one's right of it.
      const right = name === "phi" ? both.phi >= both.psi : both.psi > both.phi;
      const flip = right ? x > WIDTH - 70 : x > 70;
      text.setAttribute("text-anchor", flip ? "end" : "start");
      text.setAttribute("x", String(x + (flip ? -4 : 4)));
      // Labels of lines that nearly touch stand one above the other.
      text.setAttribute("y", name === "psi" && Math.abs(both.phi - both.psi) < 0.005 ? "22" : "11");
      text.textContent = `${name === "phi" ? "Φ" : "Ψ"} ${fixed(both[name])}`;
    }
    this.plot.setAttribute(
      "aria-label",
      `Histogram of similarities at step ${step}: ${numbers.positive} patches above Φ ${fixed(numbers.phi)}, ${numbers.negative} below Ψ ${fixed(numbers.psi)}.`,
    );
  }
}
