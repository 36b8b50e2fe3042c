// The Evaluate page: a report, or several beside each other.
import { join, leftOut, moved, refined } from "../shared/address.js";
import { call } from "../shared/client.js";
import { h, whenBack } from "../shared/dom.js";
import { noteBox, say } from "../shared/messages.js";
import { SAMPLE, Sample } from "../shared/sample.js";
import { visit } from "../shared/tabs.js";
import { besideParts } from "./beside.js";
import { confusionCard } from "./confusion.js";
import { clusteringsCard } from "./clusterings.js";
import { EvaluateForm } from "./form.js";
import { ImageBrowser } from "./images.js";
import { laterSystems } from "./later.js";
import { bordersCard, classesCard, scoresCard } from "./report.js";
import { retrievalCard } from "./retrieval.js";
import { startsCard } from "./starts.js";

const NEXT = "A report says how well clusters found without labels match the classes that people drew. This one is of the sample run, on the photos it was trained on; for your own, choose a checkpoint and press Evaluate, or start a run in Train first.";
const VIEW = ["report", "beside", "image", "kind", "order", "refined", "only", "class", "whole"];

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
    // Light or dark: cells are mixed of the theme's colours.
    new MutationObserver(() => this.confusion?.draw()).observe(document.body, { attributeFilter: ["class"] });
  }

  /** A run from another tab: its report if it has one, and its checkpoint in the form. */
  async takeRun(name) {
    await this.form.refresh();
    const refused = this.form.takeRun(name);
    if (refused || this.form.has(name)) return refused;
    // Another run's scores would pass for this one's.
    this.form.close();
    say(this.notice, [`${name} has no report yet. Press Evaluate to score its checkpoint.`]);
    return "";
  }

  /** Open a run's own report; returns why not, or nothing. */
  async takeReport(name) {
    await this.form.refresh();
    return this.form.takeReport(name);
  }

  /** Show what the address says, or else the newest report. */
  start() {
    const { view, form, said } = join("evaluate", {
      names: VIEW,
      state: () => ({ view: { report: this.sample.inLink(this.form.open, this.asked), beside: joined(this.form.beside), ...(this.images?.view() ?? this.wanted) }, form: this.form.kept.texts() }),
      restore: (wanted, sentences) => this.restore(wanted, sentences),
      title: () => this.form.titleOf(this.form.open),
    });
    const odd = this.form.restore(form);
    this.restore(view, [...said, ...leftOut(odd)]);
  }

  restore({ report, beside, ...images }, said) {
    const { form } = this;
    const others = split(beside, (key) => form.has(key));
    const gone = [report, ...others].filter((key) => key && !form.has(key));
    const sentences = [...said, ...gone.map((key) => `The report ${key} no longer exists. Choose another from the list.`)];
    const key = report && form.has(report) ? report : form.first();
    this.wanted = images; // of the browser of images, once the report is there
    this.asked = Boolean(report);
    if (key) form.choose(key, { beside: others.filter((one) => form.has(one)) });
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
    return h("section", { class: "card" }, h("div", { class: "card-body" }, h("h3", {}, "No report is open"), h("p", { class: "help" }, "How well do the clusters that were found without labels match the classes that people drew? Choose a checkpoint and a data set with labels, or open a report. Scores are measured as in the paper: for the clusters, matched one to one with the classes, and for the linear probe, with and without CRF.")));
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
      const keys = [key, ...beside];
      const shown = [];
      for (const one of keys) {
        const reply = await call(this.server, "report", one);
        shown.push({ ...reply, title: this.form.titleOf(one) || one, differs: "" });
      }
      const told = shown.length > 1 ? await call(this.server, "beside", keys) : null;
      if (mine !== this.turn) return;
      told?.headings.forEach((heading, i) => Object.assign(shown[i], heading));
      this.show(shown, told);
      Object.assign(this.main.dataset, { ready: "true", report: key, beside: joined(beside) });
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

  /** told: what the server says of several together, or null. */
  show(shown, told) {
    const first = shown[0];
    const scores = scoresCard(shown);
    const links = h("div", { class: "inline" }, first.key === SAMPLE || first.report.predictions ? null : h("button", { type: "button", class: "quiet", title: "Opens the report's images in Explore, with the features of its checkpoint", onclick: () => this.openInExplore(first.key) }, "Open in Explore"), first.page ? h("a", { href: `studio/report?key=${encodeURIComponent(first.key)}`, target: "_blank", rel: "noopener" }, "Report as a page") : null, h("a", { href: `studio/report?json=1&key=${encodeURIComponent(first.key)}`, download: "report.json" }, "JSON"));
    scores.querySelector("header").append(links);
    scores.querySelector(".card-body").append(laterSystems(first) ?? "");
    const parts = shown.some(({ key }) => key === SAMPLE) ? [this.sample.note, scores] : [scores];
    if (told) parts.push(...besideParts(shown, told));
    parts.push(...[startsCard(shown), clusteringsCard(shown), retrievalCard(shown)].filter(Boolean));
    this.confusion = null;
    if (first.report.cluster) {
      const compared = shown.filter((_, i) => !told || told.same[i]);
      const pick = (what, kind) => this.pick(what, kind);
      this.confusion = confusionCard(compared, pick);
      const classes = classesCard(compared, pick, told?.differences.rows.length ? told.differences.classes : null);
      const singledOut = (what, kind) => [classes, this.confusion].forEach((one) => one.mark(what, kind));
      this.images = new ImageBrowser(this.server, compared, { wanted: this.wanted, looked: () => refined("evaluate"), singledOut });
      this.wanted = {};
      parts.push(this.images.element, h("div", { class: "two-cards" }, h("div", { class: "column" }, classes.element, bordersCard(compared)), this.confusion.element));
    }
    this.fill(...parts);
    this.confusion?.draw();
    if (this.images?.singled) this.images.singledOut(this.images.singled, this.images.nameOf(this.images.singled.of));
  }

  /** A class or a cell was chosen: its pixels, and the images that hold them. */
  pick(what, kind) {
    const { element } = this.images;
    this.images.single(what, kind);
    element.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  }
}

// Several keys as one text. A link of one alone is its key, as it always was.
const joined = (keys) => (keys.length === 1 ? keys[0] : keys.map((key) => key.replace(/[%,]/g, encodeURIComponent)).join(","));

function split(text, known) {
  if (!text) return [];
  if (known(text)) return [text];
  return text.split(",").map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
}
