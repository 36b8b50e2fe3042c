// The pictures of one image: photo, truth, every prediction, and where it is wrong. One may be large.
import { h } from "../shared/dom.js";
import { MARKS, chosen, classLayer, versusLayer, wrongLayer } from "./layers.js";
import { Picture } from "./picture.js";
import { test } from "./singled.js";

const LEGENDS = {
  wrong: [["wrong", "wrong"], ["right", "correct"]],
  versus: [["better", "correct here, wrong in the other"], ["worse", "wrong here, correct in the other"], ["both", "both wrong"], ["right", "both correct"]],
  only: [["wrong", "wrong"], ["better", "correct"]],
};

export class Pictures {
  /** page: an ImageBrowser. */
  constructor(page) {
    this.page = page;
    this.maps = [];
    this.large = null; // the name of the one that is
    this.element = h("div", { class: "image-panels", dataset: { count: String(page.shown.length) } });
    this.legend = h("div", { class: "legend marks" });
    this.all = new Map();
    const { shown } = page;
    this.add("photo", "Image");
    this.add("truth", "Truth");
    const several = shown.length > 1;
    shown.forEach((one, i) => this.add(`predicted-${i}`, several ? one.title : "Prediction", one.differs));
    shown.forEach((one, i) => this.add(`wrong-${i}`, several ? `Wrong in ${one.title}` : "Wrong"));
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  add(name, title, differs = "") {
    const { page } = this;
    const picture = new Picture(title, differs, page.camera, {
      enlarge: () => this.enlarge(name),
      step: (by) => page.step(by),
      hover: (place) => {
        page.hover(place);
        for (const [other, one] of this.all) one.mark(place && other !== name ? place : null);
      },
    });
    picture.element.dataset.picture = name;
    this.all.set(name, picture);
    this.element.append(picture.element);
  }

  enlarge(name) {
    this.large = this.large === name ? null : name;
    for (const [one, { element }] of this.all) element.classList.toggle("large", one === this.large);
    this.draw();
    if (this.large) this.all.get(name).element.scrollIntoView({ block: "nearest" });
  }

  wait(on) {
    this.element.classList.toggle("waiting", on);
  }

  draw() {
    for (const one of this.all.values()) one.draw();
  }

  fade() {
    for (const one of this.all.values()) one.opacity = this.page.look.opacity;
    this.draw();
  }

  /** Colour everything anew. */
  paint() {
    const { page } = this;
    const { found, shown, look, colours, singled } = page;
    if (!found) return;
    this.maps = found.map((_, i) => page.mapOf(i));
    const belongs = singled && test(singled);
    const keep = found.map((one, i) => belongs && chosen(one.maps.truth, this.maps[i], belongs));
    const put = (name, i, layer) => {
      const { photo, width, height, square } = found[i];
      const outlined = look.whole && (square.size !== width || square.size !== height);
      this.all.get(name).show({ photo, layer, width, height, square: outlined ? square : null, opacity: look.opacity });
    };
    const of = singled?.of ?? 0;
    put("photo", 0, null);
    put("truth", of, classLayer(found[of].maps.truth, found[of], colours, { predicted: this.maps[of], keep: keep[of] }));
    shown.forEach((_, i) => {
      put(`predicted-${i}`, i, classLayer(this.maps[i], found[i], colours, { keep: keep[i] }));
      const against = look.versus && shown.length > 1;
      const other = i === 0 ? 1 : 0;
      put(`wrong-${i}`, i, against ? versusLayer(found[i], this.maps[i], found[other], this.maps[other], keep[i]) : wrongLayer(found[i], this.maps[i], keep[i]));
      this.all.get(`wrong-${i}`).name(this.titleOf(i, against ? other : null));
    });
    this.element.dataset.shows = page.nameOf(0);
    this.explain();
  }

  titleOf(i, other) {
    const { shown } = this.page;
    if (shown.length < 2) return "Wrong";
    return other === null ? `Wrong in ${shown[i].title}` : `${shown[i].title} compared with ${shown[other].title}`;
  }

  explain() {
    const { look, singled, shown } = this.page;
    const against = look.versus && shown.length > 1;
    const marks = LEGENDS[against ? "versus" : singled ? "only" : "wrong"];
    this.legend.replaceChildren(
      ...marks.map(([name, text]) => {
        const swatch = h("i");
        swatch.style.background = `rgb(${MARKS[name][0].join(",")})`;
        return h("span", { class: "chip" }, swatch, text);
      }),
    );
  }
}
