// PPAP's anchors, those with the fewest right positives first: where they are, and in Explore.
import { card, count, h, percent, select } from "../shared/dom.js";

const AT_ONCE = 8; // as many as Explore has colours for
const WORST = "worst";
const FEW = "few";

/** An order for shares of which some are not there: they come last. */
const ascending = (values) => (a, b) => (values[a] ?? Infinity) - (values[b] ?? Infinity) || a - b;

export class AnchorsCard {
  /** on: {show(anchors)} with anchors [image, row, column]; names of the images; images: how many
   *  of them Explore shows. */
  constructor(anchors, names, images, on) {
    Object.assign(this, { anchors, names, on, group: WORST, first: 0 });
    const all = anchors.image.map((_, i) => i).filter((i) => anchors.image[i] < images);
    const byPrecision = all.toSorted(ascending(anchors.precision));
    const tenth = Math.ceil(all.length / 10);
    this.groups = new Map([
      [WORST, ["The worst tenth: lowest share of correct positives", byPrecision.slice(0, tenth)]],
      [FEW, ["The first tenth of the curve: fewest positives", all.toSorted(ascending(anchors.positives)).slice(0, tenth)]],
    ]);
    anchors.classes.forEach((name, label) => {
      const own = byPrecision.filter((i) => anchors.class[i] === label);
      if (own.length) this.groups.set(`class ${label}`, [name, own]);
    });
    const options = [...this.groups].map(([key, [title, found]]) => [key, `${title} (${count(found.length)})`]);
    const classes = { group: "The anchor's class", options: options.slice(2) };
    this.chosen = select("Anchors", [...options.slice(0, 2), classes], WORST, (key) => this.choose(key));
    const { card: element, body } = card("Anchors one by one", { class: "card anchor-list" });
    this.list = h("ol", { class: "anchors" });
    this.together = h("button", { type: "button", class: "primary", onclick: () => this.on.show(this.shown.map((i) => this.place(i))) });
    this.before = h("button", { type: "button", class: "quiet", "aria-label": "Previous anchors", onclick: () => this.go(-AT_ONCE) }, "‹");
    this.after = h("button", { type: "button", class: "quiet", "aria-label": "Next anchors", onclick: () => this.go(AT_ONCE) }, "›");
    this.where = h("span", { class: "help", role: "status" });
    body.append(
      h("p", { class: "conclusion" }, "See where PPAP goes wrong: each anchor opens in Explore with the study's images and settings. Positives without a class are not counted."),
      this.chosen.field,
      this.list,
      h("div", { class: "inline" }, this.together, this.before, this.after, this.where),
    );
    this.element = element;
    this.fill();
  }

  /** The classes that have anchors: [key, name]. */
  get classes() {
    return [...this.groups].slice(2).map(([key, [name]]) => [key, name]);
  }

  static keys = { WORST, FEW };

  choose(key) {
    Object.assign(this, { group: key, first: 0 });
    this.chosen.input.value = key;
    this.fill();
  }

  /** The same from elsewhere on the page. */
  open(key) {
    this.choose(key);
    this.element.scrollIntoView({ block: "nearest" });
    this.list.querySelector("button")?.focus({ preventScroll: true });
  }

  go(by) {
    this.first += by;
    this.fill();
  }

  get shown() {
    return this.groups.get(this.group)[1].slice(this.first, this.first + AT_ONCE);
  }

  place(i) {
    const { image, row, column } = this.anchors;
    return [image[i], row[i], column[i]];
  }

  fill() {
    const { length } = this.groups.get(this.group)[1];
    const { shown } = this;
    this.list.replaceChildren(...shown.map((i) => h("li", {}, this.row(i))));
    this.before.disabled = this.first === 0;
    this.after.disabled = this.first + AT_ONCE >= length;
    this.together.textContent = shown.length === 1 ? "Open in Explore" : `Open these ${shown.length} in Explore`;
    this.where.textContent = length ? `${count(this.first + 1)} to ${count(this.first + shown.length)} of ${count(length)}` : "";
  }

  row(i) {
    const { anchors, names } = this;
    const [image, row, column] = this.place(i);
    const right = anchors.precision[i] === null ? "no positives with a class" : `${percent(anchors.precision[i])} of ${count(anchors.positives[i])} positives correct`;
    return h("button", { type: "button", class: "quiet", dataset: { place: `${image},${row},${column}` }, onclick: () => this.on.show([this.place(i)]) }, h("strong", {}, anchors.classes[anchors.class[i]]), h("span", {}, right), h("small", {}, `${names[image]}, row ${row}, column ${column}`));
  }
}
