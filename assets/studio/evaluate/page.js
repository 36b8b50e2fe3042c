// The Evaluate page: a report, or two beside each other.
import { join, leftOut, moved, refined } from "../shared/address.js";
import { call } from "../shared/client.js";
import { h, whenBack } from "../shared/dom.js";
import { noteBox, say } from "../shared/messages.js";
import { SAMPLE, Sample } from "../shared/sample.js";
import { visit } from "../shared/tabs.js";
import { EvaluateForm } from "./form.js";
import { ImageBrowser } from "./images.js";
import { classesCard, confusionCard, scoresCard } from "./report.js";

const NEXT = "This is the report of the sample run, on the photos that it was trained on. To make one of your own, choose a checkpoint and press Evaluate; without one, begin a run in Train.";
const VIEW = ["report", "beside", "image", "kind", "order"];

/** gradio calls this once when the component is on the page. */
export async function mount(element, server) {
  const root = element.querySelector(".ppap");
  if (root.studio) return;
  try {
    const config = await call(server, "hello", null);
    root.studio = new Evaluate(root, config, server);
    root.studio.start();
  } catch (error) {
    root.replaceChildren(h("p", { class: "messages error" }, error.message));
    throw error;
  }
}

class Evaluate {
  constructor(root, config, server) {
    this.server = server;
    this.sample = new Sample("evaluate", NEXT, () => this.form.sampleChanged());
    this.form = new EvaluateForm(server, config, {
      open: (key, beside, byHand) => this.open(key, beside, byHand),
      closed: () => this.close(),
      typed: () => refined("evaluate"),
      sample: this.sample,
    });
    this.notice = noteBox();
    this.main = h("div", { class: "main report", dataset: { ready: "false" } }, this.notice, this.welcome());
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

  /** Show what the address says, or else the newest report. */
  start() {
    const { view, form, said } = join("evaluate", {
      names: VIEW,
      state: () => ({ view: { report: this.sample.inLink(this.form.open, this.asked), beside: this.form.beside, ...(this.images?.view() ?? this.wanted) }, form: this.form.kept.texts() }),
      restore: (wanted, sentences) => this.restore(wanted, sentences),
      title: () => this.form.titleOf(this.form.open),
    });
    const odd = this.form.restore(form);
    this.restore(view, [...said, ...leftOut(odd)]);
  }

  restore({ report, beside, ...images }, said) {
    const { form } = this;
    const gone = [report, beside].filter((key) => key && !form.has(key));
    const sentences = [...said, ...gone.map((key) => `There is no report ${key} any more. Choose another from the list.`)];
    const key = report && form.has(report) ? report : form.first();
    this.wanted = images; // of the browser of images, once the report is there
    this.asked = Boolean(report);
    if (key) form.choose(key, { beside: beside && form.has(beside) && beside !== key ? beside : null });
    else form.close();
    say(this.notice, sentences);
  }

  /** Put something in place of what was open. */
  fill(...parts) {
    this.main.replaceChildren(this.notice, ...parts);
  }

  told(byHand) {
    say(this.notice, []);
    this.asked ||= byHand;
    if (byHand) moved("evaluate");
    else refined("evaluate");
  }

  welcome() {
    return h("section", { class: "card" }, h("div", { class: "card-body" }, h("h3", {}, "No report is open"), h("p", { class: "help" }, "Choose a checkpoint and a data set to evaluate, or open a report. Everything is measured as in the paper: clusters matched one to one with the classes, and the linear probe, without and with CRF.")));
  }

  close() {
    this.turn = (this.turn ?? 0) + 1;
    this.images = null;
    this.told(false);
    this.fill(this.welcome());
    delete this.main.dataset.report;
  }

  async open(key, beside, byHand) {
    const mine = (this.turn = (this.turn ?? 0) + 1);
    this.main.dataset.ready = "false";
    this.images = null;
    if (byHand) this.wanted = {};
    this.told(byHand);
    try {
      const shown = [];
      for (const one of [key, beside].filter(Boolean)) {
        const reply = await call(this.server, "report", one);
        shown.push({ ...reply, title: this.form.titleOf(one) || one });
      }
      if (mine !== this.turn) return;
      if (shown.length > 1 && shown[0].title === shown[1].title) shown.forEach((one, i) => (one.title += ` (${i + 1})`));
      this.show(shown);
      Object.assign(this.main.dataset, { ready: "true", report: key, beside: beside ?? "" });
    } catch (error) {
      if (mine === this.turn) this.fill(h("p", { class: "messages error" }, error.message));
    }
  }

  /** Explore with the images of a report, and the features of its checkpoint. */
  async openInExplore(key) {
    try {
      const { request } = await call(this.server, "explore", key);
      const page = await visit("Explore");
      await page?.openImages(request);
    } catch (error) {
      say(this.notice, [error.message]);
    }
  }

  show(shown) {
    const [first, second] = shown;
    const scores = scoresCard(shown);
    const links = h("div", { class: "inline" }, first.key === SAMPLE ? null : h("button", { type: "button", class: "quiet", title: "Its images there, with the features of its checkpoint", onclick: () => this.openInExplore(first.key) }, "Open in Explore"), first.page ? h("a", { href: `studio/report?key=${encodeURIComponent(first.key)}`, target: "_blank", rel: "noopener" }, "Report as a page") : null, h("a", { href: `studio/report?json=1&key=${encodeURIComponent(first.key)}`, download: "report.json" }, "JSON"));
    scores.querySelector("header").append(links);
    const parts = shown.some(({ key }) => key === SAMPLE) ? [this.sample.note, scores] : [scores];
    this.confusion = null;
    if (first.report.cluster) {
      const same = !second || sameImages(first.report, second.report);
      if (!same) parts.push(h("p", { class: "messages notes" }, "The two reports are of different images, so that pictures and classes are those of the first."));
      const compared = same ? shown : [first];
      this.images = new ImageBrowser(this.server, compared, { wanted: this.wanted, looked: () => refined("evaluate") });
      this.wanted = {};
      parts.push(this.images.element);
      this.confusion = confusionCard(compared);
      parts.push(h("div", { class: "two-cards" }, classesCard(compared), this.confusion.element));
    }
    this.fill(...parts);
    this.confusion?.draw();
  }
}

/** Whether two reports are about the same images and classes. */
function sameImages(one, other) {
  const list = (report) => JSON.stringify([report.classes, report.images?.map((image) => [image.index, image.name])]);
  return Boolean(other.cluster) && list(one) === list(other);
}
