// A study's figures, in the theme of the page; the files for print are ink on white.
import { card, h } from "../shared/dom.js";
import { conclusion } from "./tables.js";

const TABLES = { trust: "fig1b.csv", classes: "classes.csv", same_class: "same_class.csv", sweep: "sweep.csv" };
const isDark = () => document.body.classList.contains("dark");

/** address(name, shown) → where a file is; said: what each figure shows, by its name. */
export class Figures {
  constructor(address, link, said) {
    Object.assign(this, { address, link, said });
  }

  /** A figure's card, and its body, to which more may be added. */
  card(figure, ...more) {
    const { card: element, body, header } = card(figure.title, { class: `card figure figure-${figure.name}` });
    const { name } = figure;
    header.append(h("div", { class: "inline" }, this.link(`${name}.svg`, "SVG"), this.link(`${name}.png`, "PNG"), TABLES[name] ? this.link(TABLES[name], "CSV") : null));
    const holder = h("div", { class: "paper-figure" }, this.image(figure));
    body.append(...[conclusion(this.said[name]), holder, ...more].filter(Boolean));
    return { element, holder };
  }

  image({ name, title }) {
    const light = this.address(`${name}.svg`, true);
    return h("img", { src: isDark() ? `${light}&dark=1` : light, alt: title, loading: "lazy", dataset: { light } });
  }
}

/** Let the figures within an element follow the theme, as long as it is there. */
export function followTheme(element) {
  new MutationObserver(() => {
    for (const image of element.querySelectorAll("img[data-light]")) {
      const wanted = isDark() ? `${image.dataset.light}&dark=1` : image.dataset.light;
      if (image.getAttribute("src") !== wanted) image.src = wanted;
    }
  }).observe(document.body, { attributeFilter: ["class"] });
}
