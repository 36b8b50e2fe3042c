// Anchors worth a look: a list of thumbnails, by reason, class and image; keys go through it.
import { card, count, fixed, h, percent, relist, select } from "../shared/dom.js";
import { whereIs } from "./tiles.js";

export class Worth {
  /** hooks: {getState(), onPick(patch), onOpen(), thumb(patch)}; trust follows the survey. */
  constructor(trust, hooks) {
    this.trust = trust;
    this.hooks = hooks;
    this.at = -1;
    const filter = (name) => (value) => trust.setFilter({ [name]: value === "" ? null : name === "kind" ? value : Number(value) });
    this.kind = select("Reason", [], "", filter("kind"), "Why these anchors are worth a look");
    this.label = select("Class", [], "", filter("label"));
    this.image = select("Image", [], "", filter("image"));
    const step = (by, text, title) => h("button", { type: "button", class: "quiet", title, "aria-label": title, onclick: () => this.go(by) }, text);
    const { card: element, body } = card("Anchors worth a look", { class: "card worth" }, step(-1, "‹", "Previous (p)"), step(1, "›", "Next (n)"));
    this.bar = h("progress", { max: 1, hidden: true, "aria-label": "Measuring every anchor" });
    this.list = h("ol", { class: "worth-list" });
    this.status = h("p", { class: "help", role: "status" });
    this.problem = h("p", { class: "field-error", role: "alert", hidden: true });
    body.append(this.kind.field, h("div", { class: "pair" }, this.label.field, this.image.field), this.bar, this.problem, h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Anchors" }, this.list), this.status);
    this.element = element;
  }

  setBatch(batch) {
    this.at = -1;
    this.shown = null;
    this.list.replaceChildren();
    this.status.textContent = "";
    const all = (text, names) => [["", text], ...names];
    const present = batch.labels ? [...new Set(batch.labels)].filter((label) => label >= 0).sort((a, b) => a - b) : [];
    this.label.field.hidden = !present.length;
    relist(this.label.input, all("All classes", present.map((label) => [String(label), batch.classes[label]])));
    relist(this.image.input, all("All images", batch.names.map((name, i) => [String(i), name])));
    this.label.input.value = this.image.input.value = "";
    relist(this.kind.input, []);
  }

  /** What the trust overlay's survey says. */
  show() {
    const state = this.hooks.getState();
    const { share, problem, text } = this.trust;
    this.bar.hidden = share === null;
    if (share !== null) this.bar.value = share;
    this.problem.textContent = problem;
    this.problem.hidden = !problem;
    const worth = state.trust?.worth;
    if (!worth) {
      this.status.textContent = problem ? "" : text;
      return;
    }
    relist(this.kind.input, worth.kinds.map(({ key, title, count: n }) => [key, n === null ? title : `${title} (${count(n)})`]));
    this.kind.input.value = worth.kind;
    if (this.shown !== worth) this.fill(state, worth);
    const more = worth.of > worth.anchors.length ? `Showing ${worth.anchors.length} of ${count(worth.of)}, no two of them neighbours. ` : "";
    this.status.textContent = (worth.anchors.length ? more : "No such anchors. ") + text;
  }

  fill(state, worth) {
    this.shown = worth;
    const focused = [...this.list.querySelectorAll("button")].indexOf(document.activeElement);
    this.list.replaceChildren(...worth.anchors.map((one, i) => h("li", {}, this.row(state, one, i))));
    if (focused >= 0) this.list.querySelectorAll("button")[Math.min(focused, worth.anchors.length - 1)]?.focus({ preventScroll: true });
    this.mark();
  }

  row(state, one, i) {
    const { batch } = state;
    const [image, row, column] = whereIs(batch, one.patch);
    const label = batch.labels?.[one.patch] ?? -1;
    const quality = one.precision !== null ? `precision ${percent(one.precision)}` : `cohesion ${fixed(one.cohesion, 2)}`;
    const numbers = `${quality} · |P| ${count(one.positives)} · moved ${fixed(one.moved, 2)}`;
    const place = `${batch.names[image]} · ${row}, ${column}${label >= 0 ? ` · ${batch.classes[label]}` : ""}`;
    return h("button", { type: "button", dataset: { patch: String(one.patch) }, onclick: () => this.pick(i) }, this.hooks.thumb(one.patch), h("span", {}, h("span", { class: "place" }, place), h("span", { class: "numbers" }, numbers)));
  }

  pick(i) {
    this.at = i;
    this.hooks.onPick(this.shown.anchors[i].patch);
    this.mark();
  }

  /** The next or previous one; opens the list where it was not looked at yet. */
  go(by) {
    this.hooks.onOpen();
    const anchors = this.shown?.anchors ?? [];
    if (!anchors.length) return;
    const now = anchors.findIndex((one) => one.patch === this.hooks.getState().anchor);
    const from = now >= 0 ? now : this.at >= 0 && this.at < anchors.length ? this.at : by > 0 ? -1 : 0;
    this.pick((from + by + anchors.length) % anchors.length);
    const button = this.list.children[this.at].firstChild;
    // Within the list only: the page stays where it is.
    const box = this.list.parentElement;
    const top = button.offsetTop - box.offsetTop;
    if (top < box.scrollTop || top + button.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = top - box.clientHeight / 2;
  }

  /** Which one is the anchor. */
  mark() {
    const { anchor } = this.hooks.getState();
    for (const button of this.list.querySelectorAll("button")) button.setAttribute("aria-current", String(Number(button.dataset.patch) === anchor));
  }
}
