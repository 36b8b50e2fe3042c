// The Study page: how far the sets can be trusted on a data set, and which settings suit.
import { join, leftOut, moved, refined } from "../shared/address.js";
import { call } from "../shared/client.js";
import { card, count, h, newId, percent, whenBack } from "../shared/dom.js";
import { noteBox, say } from "../shared/messages.js";
import { explore, openExplore } from "../shared/open-explore.js";
import { SAMPLE, Sample } from "../shared/sample.js";
import { AblationCard, ablationView } from "./ablation.js";
import { AnchorsCard } from "./anchors.js";
import { Figures, followTheme } from "./figures.js";
import { StudyForm } from "./form.js";
import { conclusion, line, part, table } from "./tables.js";

const FOLLOW_MS = 3000;
const NEXT = "A study measures how many of the patches that each rule calls positive really show the anchor's class, and suggests settings for your images. This one is of the six sample photos; for your own, enter a data set folder and press Study.";

/** gradio calls this once when the component is on the page. */
export async function mount(element, server) {
  const root = element.querySelector(".ppap");
  if (root.studio) return;
  try {
    const config = await call(server, "hello", null);
    root.studio = new StudyPage(root, config, server);
    root.studio.start();
  } catch (error) {
    root.replaceChildren(h("p", { class: "messages error" }, error.message));
    throw error;
  }
}

class StudyPage {
  constructor(root, config, server) {
    this.server = server;
    this.ranges = config.ranges;
    this.sample = new Sample("study", NEXT, () => this.form.sampleChanged());
    this.form = new StudyForm(server, config, {
      open: (key, byHand) => this.open(key, byHand),
      settings: () => explore()?.controls.values ?? null,
      typed: () => refined("study"),
      empty: () => !this.form.current && !this.ablations.current,
      sample: this.sample,
    });
    this.notice = noteBox();
    this.main = h("div", { class: "main study", dataset: { ready: "false" } }, this.notice, this.welcome());
    this.ablations = new AblationCard(server, { show: (name, byHand) => this.showAblation(name, byHand), typed: () => refined("study") });
    this.form.element.append(this.ablations.element);
    root.replaceChildren(this.form.element, this.main);
    followTheme(this.main);
    whenBack(root, () => {
      this.form.refresh();
      this.ablations.refresh();
    });
  }

  /** Show what the address says, or else the newest study. */
  async start() {
    const { view, form, said } = join("study", {
      names: ["study", "ablation"],
      state: () => ({
        view: this.ablations.current ? { ablation: this.ablations.current } : { study: this.sample.inLink(this.form.current, this.asked) },
        form: { ...this.form.kept.texts(), ...this.ablations.texts() },
      }),
      restore: (wanted, sentences) => this.restore(wanted, sentences),
      title: () => this.ablations.current ?? this.form.titleOf(this.form.current),
    });
    const own = Object.entries(form).filter(([name]) => !name.startsWith("ablation."));
    const odd = this.form.restore(Object.fromEntries(own));
    this.restore(view, [...said, ...leftOut(odd)]);
    const further = await this.ablations.restore(form);
    if (further.length) say(this.notice, leftOut([...odd, ...further]));
  }

  restore({ study, ablation }, said) {
    const known = !study || this.form.has(study);
    const sentences = known ? said : [...said, `The study ${study} no longer exists. Choose another from the list.`];
    this.asked = Boolean(study);
    if (ablation) this.ablations.choose(ablation);
    else this.form.choose(study && known ? study : this.form.first());
    say(this.notice, sentences);
  }

  /** Put something in place of what was open. */
  fill(...parts) {
    this.main.replaceChildren(this.notice, ...parts);
  }

  welcome() {
    return h("section", { class: "card" }, h("div", { class: "card-body" }, h("h3", {}, "No study is open"), h("p", { class: "help" }, "How far can you trust the patches that training will pull together? A study picks random anchors in your images, lets PPAP and its rivals sort all other patches into positives and negatives, and checks against label maps how many are correct: overall, by class, and over a grid of settings. It also suggests settings, which needs no labels.")));
  }

  async open(key, byHand) {
    const mine = (this.turn = (this.turn ?? 0) + 1);
    this.main.dataset.ready = "false";
    this.ablations.leave();
    this.told(byHand);
    if (!key) {
      this.fill(this.welcome());
      delete this.main.dataset.study;
      return;
    }
    try {
      const reply = await call(this.server, "study", key);
      if (mine !== this.turn) return;
      this.show(reply);
      delete this.main.dataset.ablation;
      Object.assign(this.main.dataset, { ready: "true", study: key });
    } catch (error) {
      if (mine === this.turn) this.fill(h("p", { class: "messages error" }, error.message));
    }
  }

  told(byHand) {
    say(this.notice, []);
    this.asked ||= byHand;
    if (byHand) moved("study");
    else refined("study");
  }

  /** An ablation's table, followed until all its runs have ended. */
  async showAblation(name, byHand) {
    const mine = (this.turn = (this.turn ?? 0) + 1);
    this.form.leave();
    this.told(byHand);
    this.main.dataset.ready = "false";
    delete this.main.dataset.study;
    for (;;) {
      let reply;
      try {
        reply = await call(this.server, "ablation", name);
      } catch (error) {
        if (mine === this.turn) this.fill(h("p", { class: "messages error" }, error.message));
        return;
      }
      if (mine !== this.turn) return;
      this.fill(ablationView(reply));
      Object.assign(this.main.dataset, { ready: "true", ablation: name });
      const { total, finished } = reply.standing;
      if (finished === total || (reply.ended && !reply.standing.running && !reply.standing.waiting)) break;
      await new Promise((resolve) => setTimeout(resolve, FOLLOW_MS));
      // Nobody looks: the next visit shows it anew.
      if (mine !== this.turn || !this.main.isConnected) return;
    }
    this.ablations.refresh();
  }

  show(reply) {
    const { study } = reply;
    const address = (name, shown) => `studio/study/${encodeURIComponent(reply.key)}/${encodeURIComponent(name)}${shown ? "?show=1" : ""}`;
    const link = (name, text) => h("a", { href: address(name), download: name }, text);
    const figures = new Figures(address, link, reply.said);
    const anchors = this.anchorsCard(reply);
    const drawn = study.figures.filter(({ name }) => name !== "sweep").map((figure) => [figure.name, figures.card(figure, this.below(figure, anchors)).element]);
    const at = drawn.findIndex(([name]) => name === "classes") + 1;
    if (anchors) drawn.splice(at, 0, ["anchors", anchors.element]);
    this.fill(
      ...[
        reply.key === SAMPLE ? this.sample.note : null,
        this.adviceCard(reply, address),
        study.rules.length ? this.rulesCard(reply, link) : null,
        study.stages?.length > 1 ? this.stagesCard(reply, link) : null,
        ...study.figures.filter(({ name }) => name === "sweep").map((figure) => this.sweepCard(study, figure, figures)),
        ...drawn.map(([, element]) => element),
      ].filter(Boolean),
    );
  }

  /** Studies of earlier versions do not say where their anchors are. */
  anchorsCard({ study, explore: request }) {
    if (!study.anchors?.image.length || !request) return null;
    const images = request.images?.length ?? Infinity;
    return new AnchorsCard(study.anchors, study.images, images, { show: (anchors) => this.use(study.settings, anchors) });
  }

  /** What leads from a figure to its anchors. */
  below({ name }, anchors) {
    if (!anchors) return null;
    if (name === "trust") return h("div", { class: "inline" }, h("button", { type: "button", class: "quiet", onclick: () => anchors.open(AnchorsCard.keys.FEW) }, "Anchors of the first tenth"), h("button", { type: "button", class: "quiet", onclick: () => anchors.open(AnchorsCard.keys.WORST) }, "Anchors of the worst tenth"));
    if (name !== "classes") return null;
    return h("div", { class: "class-anchors", role: "group", "aria-label": "Anchors of a class" }, h("span", { class: "help" }, "Anchors of"), anchors.classes.map(([key, title]) => h("button", { type: "button", class: "quiet", onclick: () => anchors.open(key) }, title)));
  }

  adviceCard(reply, address) {
    const { study, subject } = reply;
    const { card: element, body, header } = card("Suggested settings", { class: "card advice" });
    header.append(h("div", { class: "inline" }, h("a", { href: address("study.html", true), target: "_blank", rel: "noopener" }, "Open as a page"), h("a", { href: address("study.json"), download: "study.json" }, "JSON")));
    this.said = h("p", { class: "help", role: "status" });
    const remarks = noteBox();
    say(remarks, study.notes ?? []); // studies of earlier versions have none
    body.append(
      h("p", { class: "subject" }, h("span", {}, subject)),
      remarks,
      h("ul", { class: "notes" }, study.advice.reasons.map((reason) => h("li", {}, reason))),
      conclusion(reply.said.proof) ?? "",
      study.proof ? this.proofTable(reply) : h("p", { class: "help" }, "Without label maps, a study cannot say how many positives and negatives are correct."),
      h("div", { class: "inline" }, h("button", { type: "button", class: "primary", onclick: () => this.use(study.advice.settings) }, "Use in Explore"), this.withImages(reply)),
      this.said,
    );
    return element;
  }

  /** Whether Explore shall show what was studied; as it was chosen last. */
  withImages({ explore: request }) {
    this.images = request;
    const box = h("input", { id: newId("with-images"), type: "checkbox", checked: this.wanted !== false, onchange: () => (this.wanted = box.checked) });
    const most = request?.images?.length;
    return h("label", { class: "check", for: box.id, hidden: !request }, box, most ? `with the first ${most} images of this study` : "with the sample photos");
  }

  proofTable({ proof, proof_headings: headings, proof_key: key }) {
    const lines = proof.map(([title, ...cells], i) => line(title, cells, { class: i ? "" : "measured" }));
    return h("div", {}, table(headings, lines), h("p", { class: "help" }, key));
  }

  rulesCard({ headings, rows, paper, study, said, key_text }, link) {
    const { card: element, body, header } = card("Rules compared", { class: "card rules" });
    header.append(h("div", { class: "inline" }, link("table6.csv", "CSV"), link("classes.csv", "CSV by class")));
    const group = (title, equal) => {
      const found = rows.filter(([, matched]) => matched === equal);
      return found.length ? [part(title, headings), ...found.map(([name, , cells], i) => line(name, cells, { class: i || equal ? "" : "measured" }))] : [];
    };
    body.append(
      conclusion(said.rules) ?? "",
      table(headings, [group("At their own settings", false), group("At the same number of positives as PPAP", true)]),
      h("p", { class: "help" }, `${key_text} ${count(study.rules[0].anchors)} anchors.`),
      h("ul", { class: "notes", hidden: !paper.length }, paper.map((row) => h("li", {}, `Paper, Table 6: ${row}`))),
    );
    return element;
  }

  /** The same images before and after training, each with settings from its own cosines. */
  stagesCard({ said, stages: { title, headings, rows, areas, key } }, link) {
    const { card: element, body, header } = card(title, { class: "card stages" });
    header.append(h("div", { class: "inline" }, link("stages.csv", "CSV")));
    body.append(
      conclusion(said.stages) ?? "",
      table(headings, rows.map(([first, ...cells]) => line(first, cells))),
      h("ul", { class: "notes" }, areas.map((area) => h("li", {}, area))),
      h("p", { class: "help" }, key),
    );
    return element;
  }

  /** The figure itself, with a button over every cell of every panel. */
  sweepCard(study, figure, figures) {
    const { cells } = study.sweep;
    const rows = cells.length;
    const columns = cells[0].length;
    this.cell = h("p", { class: "readout", role: "status" }, "Point at a cell to read it; click it to open its settings in Explore.");
    const { element, holder } = figures.card(figure, this.cell);
    for (const [index, box] of figure.boxes.entries()) {
      const panel = h("div", { class: "cells", style: `left:${100 * box.left}%;top:${100 * box.top}%;width:${100 * box.width}%;height:${100 * box.height}%;grid-template:repeat(${rows},1fr)/repeat(${columns},1fr)` });
      // The last row of values is the top one.
      for (let row = rows - 1; row >= 0; row--) {
        for (const [column, cell] of cells[row].entries()) {
          const words = this.words(cell);
          const tell = () => (this.cell.textContent = words);
          panel.append(h("button", { type: "button", "aria-label": words, tabindex: index ? "-1" : "0", dataset: { row: String(row), column: String(column) }, onmouseenter: tell, onfocus: tell, onclick: () => this.use(cell.settings) }));
        }
      }
      holder.append(panel);
    }
    return element;
  }

  words(cell) {
    const settings = this.ranges.map(({ name, symbol }) => `${symbol.replace("_", " ")} ${Math.round(1000 * cell.settings[name]) / 1000}`).join(", ");
    const found = cell.f1 === null ? "" : `; F1 ${percent(cell.f1)}, precision ${percent(cell.precision)}, recall ${percent(cell.recall)}, wrong in N ${percent(cell.false_negatives)}`;
    return `${settings}: ${count(Math.round(cell.positives))} positives, ${count(Math.round(cell.ambiguous))} ambiguous${found}`;
  }

  /** Explore with these settings; with anchors, on the study's images and at the first of them. */
  use(settings, anchors = []) {
    if (!explore()?.state.batch) {
      this.said.textContent = "Explore is still loading. Open it once, then try again.";
      return;
    }
    const images = this.wanted === false && !anchors.length ? null : this.images;
    openExplore(settings, images, anchors);
    scrollTo(0, 0);
    const words = this.ranges.map(({ name, symbol }) => `${symbol.replace("_", " ")} ${Math.round(1000 * settings[name]) / 1000}`);
    this.said.textContent = `Explore now uses ${words.join(", ")}${images ? ", with this study's images" : "; its images stay the same"}.`;
  }
}
