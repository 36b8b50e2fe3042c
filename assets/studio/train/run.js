// One run: where it stands, what can be done with it, its predictions over time, its log.
import { call } from "../shared/client.js";
import { card, count, fixed, h, select } from "../shared/dom.js";
import { tell } from "../shared/messages.js";
import { SAMPLE } from "../shared/sample.js";
import { comparison } from "./comparison.js";
import { Configuration } from "./configuration.js";
import { Notes } from "./notes.js";
import { HERE, SLURM, hasSlurm } from "../shared/place.js";
import { Predictions } from "./predictions.js";
import { ScoreTiles } from "./score.js";
import { ACTIVE, duration, share, stateOf } from "./words.js";

const KEPT_CHARACTERS = 200_000;

export class RunView {
  /** hooks: {changed(), renamed(run), deleted(name), clone(details), explore(settings), use(tab, name), looked()}. */
  constructor(server, charts, hooks, lists) {
    this.server = server;
    this.lists = lists;
    this.hooks = hooks;
    this.heading = h("span", { class: "badge" });
    this.facts = h("div", { class: "facts" });
    this.bar = h("progress", { max: 1, "aria-label": "Progress" });
    this.reason = h("div", { class: "reason", role: "alert", hidden: true });
    this.said = h("p", { class: "said", role: "status" });
    const button = (title, act, attributes = {}) => h("button", { type: "button", onclick: act, ...attributes }, title);
    this.buttons = {
      stop: button("Stop", () => this.act("stop"), { title: "Writes a checkpoint and stops" }),
      kill: button("Kill now", () => this.act("kill"), { class: "danger", title: "Loses everything since its last checkpoint" }),
      resume: button("Resume", () => this.act("resume")),
      elsewhere: button("Resume on…", () => this.resumeOn(), { title: "On other devices, or elsewhere" }),
      see: button("Open in Explore", () => this.use("Explore"), { title: "See its features on its validation images, checkpoint by checkpoint" }),
      evaluate: button("Open in Evaluate", () => this.use("Evaluate"), { title: "See its report, or evaluate its checkpoint on any data set" }),
      segment: button("Open in Segment", () => this.use("Segment"), { title: "Segment images with its checkpoint" }),
      clone: button("Clone with changes", () => this.clone()),
      explore: button("Settings to Explore", () => this.explore(), { title: "Φ⁰, Ψ⁰, σ and T of this run" }),
      command: button("Command", () => this.command()),
      rename: button("Rename", () => this.rename()),
      delete: button("Delete…", () => this.askDelete(), { class: "danger" }),
    };
    const { card: element, body, header } = card("Run", { class: "card run" }, this.heading);
    this.title = header.querySelector("h2");
    this.scores = new ScoreTiles(async () => (this.said.textContent = await this.hooks.report(this.run.name)));
    this.notes = new Notes(server, Boolean(lists.closed), { search: (tag) => hooks.tag(tag), changed: () => hooks.changed() });
    this.configuration = new Configuration(server, lists);
    body.append(this.scores.element, this.facts, this.bar, this.reason, this.said, this.notes.element, h("div", { class: "buttons" }, Object.values(this.buttons)));
    const curves = card("Curves", { class: "card" });
    curves.body.append(charts.element);
    this.predictions = new Predictions(server, { looked: () => hooks.looked() });
    this.logCard();
    this.sheet = h("dialog", { class: "sheet" });
    this.element = h("div", { class: "column", hidden: true }, element, this.configuration.element, curves.card, this.predictions.element, this.logElement, this.sheet);
    this.run = null;
  }

  logCard() {
    this.words = h("input", { type: "search", placeholder: "Search the log", "aria-label": "Search the log", onkeydown: (event) => event.key === "Enter" && this.search(), oninput: () => !this.words.value && this.endSearch() });
    this.log = h("pre", { class: "log", tabindex: "0", role: "log", "aria-label": "Log", "aria-live": "off" });
    this.found = h("pre", { class: "log", tabindex: "0", "aria-label": "Lines found", hidden: true });
    this.logSaid = h("p", { class: "help", role: "status" });
    const { card: element, body } = card("Log", { class: "card" });
    body.append(h("div", { class: "log-tools" }, this.words, h("button", { type: "button", onclick: () => this.search() }, "Search")), this.logSaid, this.found, this.log);
    this.logElement = element;
  }

  // --- what is shown

  open(run) {
    if (this.run?.name !== run.name) {
      this.log.textContent = "";
      this.words.value = "";
      this.endSearch();
      this.said.textContent = "";
      this.noted = ""; // the same may be true of this run, too
    }
    this.element.hidden = false;
    this.show(run);
  }

  close() {
    this.run = null;
    this.element.hidden = true;
  }

  show(run) {
    this.run = run;
    const sample = run.name === SAMPLE;
    this.title.textContent = sample ? "Sample run" : run.name;
    this.heading.className = `badge ${run.state}`;
    this.heading.textContent = stateOf(run);
    const fact = (name, value) => (value === null || value === "" || value === undefined ? null : h("span", {}, `${name} `, h("b", {}, value)));
    this.facts.replaceChildren(
      ...[
        fact("recipe", run.recipe),
        fact("rule", run.rule),
        fact("backbone", run.backbone),
        fact("seed", run.seed === null ? null : run.seed),
        fact("data", run.data ?? (run.dataset === "samples" ? "sample photos" : null)),
        fact("device", run.device),
        run.steps ? fact("step", `${count(run.step)} of ${count(run.steps)}`) : null,
        fact("left", run.time_left === null ? null : duration(run.time_left)),
        fact("took", run.seconds === null ? null : duration(run.seconds)),
        fact("images/s", run.images_per_second === null ? null : fixed(run.images_per_second, 1)),
        fact("exit status", run.code && run.state === "failed" ? String(run.code) : null),
      ].filter(Boolean),
    );
    this.bar.value = share(run);
    this.bar.hidden = !ACTIVE.includes(run.state) || run.state === "queued";
    tell(this.reason, run.state === "failed" ? run.text : "");
    this.note(run);
    this.scores.show(run);
    this.notes.show(run);
    this.configuration.show(run);
    const active = ACTIVE.includes(run.state);
    const shown = { stop: run.state === "running" || run.state === "queued", kill: run.state === "stopping", resume: run.resumable, elsewhere: run.resumable, evaluate: run.checkpoint, segment: run.checkpoint, see: run.checkpoint, clone: true, explore: true, command: true, rename: !active && !sample, delete: !active && !sample };
    for (const [name, wanted] of Object.entries(shown)) this.buttons[name].hidden = !wanted;
    this.buttons.stop.textContent = run.state === "queued" ? "Remove from queue" : "Stop";
  }

  note(run) {
    const said = run.state === "failed" ? "" : run.text;
    if (said !== this.noted) this.said.textContent = said;
    this.noted = said;
  }

  take({ log, gap, pictures }) {
    if (log) {
      const near = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 40;
      const before = gap ? `${this.log.textContent}…\n` : this.log.textContent;
      this.log.textContent = (before + log).slice(-KEPT_CHARACTERS);
      if (near) this.log.scrollTop = this.log.scrollHeight;
    }
    if (pictures) this.pictured = pictures;
  }

  async search() {
    const words = this.words.value;
    if (!words) return this.endSearch();
    try {
      const { lines } = await call(this.server, "search", { name: this.run.name, words });
      this.found.hidden = false;
      this.log.hidden = true;
      this.found.textContent = lines.map(({ line, text }) => `${line}: ${text}`).join("\n");
      this.logSaid.textContent = lines.length === 0 ? "No matching lines." : lines.length === 1 ? "1 line" : `${count(lines.length)} lines`;
    } catch (error) {
      this.logSaid.textContent = error.message;
    }
  }

  endSearch() {
    this.found.hidden = true;
    this.log.hidden = false;
    this.logSaid.textContent = "";
  }

  // --- what can be done

  async act(action, more = {}) {
    try {
      const reply = await call(this.server, "act", { action, name: this.run.name, ...more });
      if (reply.run && action !== "rename") this.show({ ...this.run, ...reply.run });
      this.hooks.changed();
      return reply;
    } catch (error) {
      this.said.textContent = error.message;
      return null;
    }
  }

  async details() {
    try {
      return await call(this.server, "details", this.run.name);
    } catch (error) {
      this.said.textContent = error.message;
      return null;
    }
  }

  async clone() {
    const details = await this.details();
    if (details) this.hooks.clone(details);
  }

  async explore() {
    const details = await this.details();
    if (details) this.said.textContent = this.hooks.explore(details.config);
  }

  async use(tab) {
    const failed = await this.hooks.use(tab, this.run.name);
    if (failed) this.said.textContent = failed;
  }

  async command() {
    const details = await this.details();
    if (!details) return;
    const area = h("textarea", { readonly: true, rows: "4", "aria-label": "Command" });
    area.value = details.command;
    const script = details.script ? [h("h3", {}, "The script submitted to SLURM"), h("pre", { class: "log", tabindex: "0", "aria-label": "Script", dataset: { part: "script" } }, details.script)] : [];
    this.openSheet("The command that starts the same run", area, ...script);
    area.select();
  }

  /** Go on with other devices than before, or in another place. */
  async resumeOn() {
    const details = await this.details();
    if (!details) return;
    const devices = h("input", { type: "text", "aria-label": "Devices", value: details.config.devices ?? "1", autocomplete: "off", spellcheck: "false" });
    const on = select("On", [[HERE, "This machine"], [SLURM, "SLURM"]], details.on ?? HERE, () => {});
    on.field.hidden = !hasSlurm(this.lists);
    const error = h("p", { class: "field-error", role: "alert" });
    const form = h("form", { class: "inline", onsubmit: async (event) => {
      event.preventDefault();
      try {
        const slurm = on.input.value === SLURM && details.on === SLURM ? { slurm: details.slurm } : {};
        const { run } = await call(this.server, "act", { action: "resume", name: this.run.name, settings: { devices: devices.value }, on: on.input.value, ...slurm });
        this.sheet.close();
        this.show({ ...this.run, ...run });
        this.hooks.changed();
      } catch (refused) {
        error.textContent = refused.message;
      }
    } }, h("label", {}, "Devices ", devices), on.field, h("button", { type: "submit", class: "primary" }, "Resume"));
    this.openSheet(`Resume ${this.run.name}`, h("p", { class: "help" }, "A number, all, or GPUs such as 0,2. With a different number, every step sees the same images but sums in a different order."), form, error);
  }

  rename() {
    const input = h("input", { type: "text", "aria-label": "New name", value: this.run.name, autocomplete: "off" });
    const error = h("p", { class: "field-error", role: "alert" });
    const form = h("form", { class: "inline", onsubmit: async (event) => {
      event.preventDefault();
      try {
        const { run } = await call(this.server, "act", { action: "rename", name: this.run.name, new_name: input.value });
        this.sheet.close();
        this.hooks.renamed(run);
      } catch (refused) {
        error.textContent = refused.message;
      }
    } }, input, h("button", { type: "submit", class: "primary" }, "Rename"));
    this.openSheet(`Rename ${this.run.name}`, form, error);
    input.select();
  }

  async askDelete() {
    const reply = await this.act("contents");
    if (!reply) return;
    const { name } = this.run;
    const { files, bytes, checkpoints, pictures } = reply.contents;
    const sure = h("button", { type: "button", class: "danger", onclick: async () => {
      this.sheet.close();
      if (await this.act("delete")) this.hooks.deleted(name);
    } }, `Delete ${name}`);
    const goes = `This deletes ${count(files)} files (${(bytes / 1e6).toFixed(1)} MB): ${count(checkpoints)} checkpoints, ${count(pictures)} images, metrics, log and report. It cannot be undone.`;
    this.openSheet(`Delete ${name}?`, h("p", {}, goes), h("div", { class: "buttons" }, sure, h("button", { type: "button", onclick: () => this.sheet.close() }, "Cancel")));
  }

  /** Show runs side by side. */
  showComparison(reply) {
    this.openSheet("Runs side by side", ...comparison(reply));
    this.sheet.classList.add("wide");
  }

  openSheet(title, ...content) {
    this.sheet.classList.remove("wide");
    this.sheet.setAttribute("aria-label", title);
    const close = h("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: () => this.sheet.close() }, "✕");
    this.sheet.replaceChildren(h("header", {}, h("h2", {}, title), close), ...content);
    // It lies beside the run, which may be hidden when runs are compared.
    this.sheet.showModal();
  }
}
