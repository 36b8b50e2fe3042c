// The Evaluate page: a report, or two beside each other.
import { call } from "../shared/client.js";
import { h, whenBack } from "../shared/dom.js";
import { EvaluateForm } from "./form.js";
import { ImageBrowser } from "./images.js";
import { classesCard, confusionCard, scoresCard } from "./report.js";

/** gradio calls this once when the component is on the page. */
export async function mount(element, server) {
  const root = element.querySelector(".ppap");
  if (root.studio) return;
  try {
    const config = await call(server, "hello", null);
    root.studio = new Evaluate(root, config, server);
    const first = config.reports[0];
    if (first) root.studio.form.choose(first.key);
  } catch (error) {
    root.replaceChildren(h("p", { class: "messages error" }, error.message));
    throw error;
  }
}

class Evaluate {
  constructor(root, config, server) {
    this.server = server;
    this.form = new EvaluateForm(server, config, { open: (key, beside) => this.open(key, beside), closed: () => this.close() });
    this.main = h("div", { class: "main report", dataset: { ready: "false" } }, this.welcome());
    root.replaceChildren(this.form.element, this.main);
    // Runs go on while another tab is looked at.
    whenBack(root, () => this.form.refresh());
    // Light or dark: Plotly's colours are not style sheets.
    new MutationObserver(() => this.confusion?.draw()).observe(document.body, { attributeFilter: ["class"] });
  }

  /** A run from another tab: its report if it has one, and its checkpoint in the form. */
  async takeRun(name) {
    await this.form.refresh();
    return this.form.takeRun(name);
  }

  welcome() {
    return h("section", { class: "card" }, h("div", { class: "card-body" }, h("h3", {}, "No report is open"), h("p", { class: "help" }, "Choose a checkpoint and a data set to evaluate, or open a report. Everything is measured as in the paper: clusters matched one to one with the classes, and the linear probe, without and with CRF.")));
  }

  close() {
    this.turn = (this.turn ?? 0) + 1;
    this.main.replaceChildren(this.welcome());
    delete this.main.dataset.report;
  }

  async open(key, beside) {
    const mine = (this.turn = (this.turn ?? 0) + 1);
    this.main.dataset.ready = "false";
    if (!key) return;
    try {
      const shown = [];
      for (const one of [key, beside].filter(Boolean)) {
        const reply = await call(this.server, "report", one);
        shown.push({ ...reply, title: this.form.reports.find((other) => other.key === one)?.title ?? one });
      }
      if (mine !== this.turn) return;
      if (shown.length > 1 && shown[0].title === shown[1].title) shown.forEach((one, i) => (one.title += ` (${i + 1})`));
      this.show(shown);
      Object.assign(this.main.dataset, { ready: "true", report: key, beside: beside ?? "" });
    } catch (error) {
      if (mine === this.turn) this.main.replaceChildren(h("p", { class: "messages error" }, error.message));
    }
  }

  show(shown) {
    const [first, second] = shown;
    const scores = scoresCard(shown);
    const links = h("div", { class: "inline" }, first.page ? h("a", { href: `studio/report?key=${encodeURIComponent(first.key)}`, target: "_blank", rel: "noopener" }, "Report as a page") : null, h("a", { href: `studio/report?json=1&key=${encodeURIComponent(first.key)}`, download: "report.json" }, "JSON"));
    scores.querySelector("header").append(links);
    const parts = [scores];
    this.confusion = null;
    if (first.report.cluster) {
      const same = !second || sameImages(first.report, second.report);
      if (!same) parts.push(h("p", { class: "messages notes" }, "The two reports are of different images, so that pictures and classes are those of the first."));
      const compared = same ? shown : [first];
      parts.push(new ImageBrowser(this.server, compared).element);
      this.confusion = confusionCard(compared);
      parts.push(h("div", { class: "two-cards" }, classesCard(compared), this.confusion.element));
    }
    this.main.replaceChildren(...parts);
    this.confusion?.draw();
  }
}

/** Whether two reports are about the same images and classes. */
function sameImages(one, other) {
  const list = (report) => JSON.stringify([report.classes, report.images?.map((image) => [image.index, image.name])]);
  return Boolean(other.cluster) && list(one) === list(other);
}
