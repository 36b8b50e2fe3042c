// The pictures themselves: a row for each image, a column for the photo, the truth and each run.
import { count, h } from "../shared/dom.js";
import { Strips, drawPart } from "../shared/strips.js";

// In the order in which a run's files have them.
const [PHOTO, TRUTH, CLUSTERS, CLASSES] = [0, 1, 2, 3];
const PARTS = 4;
/** What a run predicts, of which several runs show one at a time. */
export const LAYERS = [
  ["clusters", "Clusters", "Cluster predictions, in the colours of their matched classes"],
  ["classes", "Classes", "Predictions of the linear probe"],
];
const NAMED = 3; // settings that a heading tells; the others are in its title
const NOTHING = "–";

/** The last validation at or before a step; undefined where there was none yet. */
export const lastOf = (steps, at) => steps.filter((step) => step <= at).at(-1);

export class PredictionTable {
  constructor() {
    this.strips = new Strips();
    this.cells = [];
    this.head = h("tr", {});
    this.body = h("tbody", {});
    const table = h("table", {}, h("thead", {}, this.head), this.body);
    this.element = h("div", { class: "prediction-scroll", tabindex: "0", role: "region", "aria-label": "Predictions by image" }, table);
  }

  /**
   * runs: as the server tells them, the first being the one whose photo and truth are shown;
   * images: indices; layer: "clusters" or "classes", for several runs; colours: of runs, by name.
   */
  build(runs, images, layer, colours) {
    const key = JSON.stringify([runs.map(({ name, differs, images: own }) => [name, differs, own, colours.get(name)]), images, layer]);
    if (key === this.key) return;
    this.key = key;
    const columns = columnsOf(runs, layer);
    this.element.style.setProperty("--columns", String(columns.length));
    // What one run shows fits a narrow screen, too.
    this.element.style.setProperty("--least", runs.length > 1 ? "124px" : "84px");
    this.headings = columns.map((column) => heading(column, runs.length > 1, colours));
    this.head.replaceChildren(...this.headings.map(({ element }) => element));
    this.cells = images.flatMap((image) => columns.map((column) => cell(column, image, runs[0].names[image] ?? `Image ${image}`)));
    this.body.replaceChildren(...images.map((image) => h("tr", {}, this.cells.filter((one) => one.image === image).map(({ element }) => element))));
  }

  /** at: the step that is looked at; opacity: of what lies over the photo; only: as of drawPart. */
  paint({ at, opacity, only }) {
    for (const { column, when } of this.headings) {
      const step = lastOf(column.run.steps, at);
      if (when) when.textContent = step === undefined ? "not validated yet" : `step ${count(step)}`;
    }
    for (const one of this.cells) this.paintCell(one, at, { opacity, only });
  }

  async paintCell({ canvas, none, column, image, title }, at, look) {
    const { run, part } = column;
    const step = lastOf(run.steps, part < CLUSTERS ? Math.max(at, run.steps[0]) : at);
    const there = step !== undefined && run.images.includes(image);
    none.hidden = there;
    canvas.hidden = !there;
    if (!there) return;
    const url = `studio/run/${encodeURIComponent(run.name)}/${step}/${image}.png`;
    const wanted = JSON.stringify([url, look]);
    canvas.dataset.wanted = wanted;
    canvas.setAttribute("aria-label", part < CLUSTERS ? title : `${title}, step ${count(step)}`);
    try {
      const strip = await this.strips.load(url);
      if (canvas.dataset.wanted !== wanted) return; // another is looked at by now
      drawPart(canvas, strip, { part, parts: PARTS, ...look });
      canvas.dataset.drawn = url;
    } catch {
      if (canvas.dataset.wanted !== wanted) return;
      none.hidden = false;
      canvas.hidden = true;
    }
  }
}

function columnsOf(runs, layer) {
  const [first] = runs;
  const fixed = [{ run: first, part: PHOTO, title: "Image" }, { run: first, part: TRUTH, title: "Truth" }];
  if (runs.length < 2) return [...fixed, ...LAYERS.map(([, title, help], i) => ({ run: first, part: CLUSTERS + i, title, help }))];
  const part = layer === "classes" ? CLASSES : CLUSTERS;
  return [...fixed, ...runs.map((run) => ({ run, part, title: run.title, own: true }))];
}

function heading(column, several, colours) {
  if (!several || !column.own) return { column, element: h("th", { scope: "col", title: column.help }, column.title) };
  const { run, title } = column;
  const swatch = h("i", { "aria-hidden": "true" });
  swatch.style.background = colours.get(run.name) ?? "";
  const texts = run.differs.map(([name, value]) => `${name} ${value || "(empty)"}`);
  const more = texts.length - NAMED;
  const differs = texts.length ? h("small", { title: texts.join("\n") }, [...texts.slice(0, NAMED), ...(more > 0 ? [`${more} more`] : [])].join(" · ")) : null;
  const when = h("small", { class: "when" });
  return { column, when, element: h("th", { scope: "col", dataset: { run: run.name } }, h("span", { class: "name" }, swatch, title), differs, when) };
}

function cell(column, image, name) {
  const title = column.part === PHOTO ? name : `${name}: ${column.title}`;
  const canvas = h("canvas", { role: "img", dataset: { image: String(image), part: String(column.part), run: column.run.name } });
  const none = h("span", { class: "none", hidden: true }, NOTHING);
  const photo = column.part === PHOTO;
  const element = h(photo ? "th" : "td", photo ? { scope: "row" } : {}, canvas, none, photo ? h("small", {}, name) : null);
  return { element, canvas, none, column, image, title };
}
