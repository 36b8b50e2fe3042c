// Six steps through Explore, on the sample photos, for someone who has not read the paper.
import { count, fixed, h, percent } from "../shared/dom.js";

const SEEN = "ppap-tour-seen";
const SAMPLES = { source: "samples", size: 448, backbone: "embedded", checkpoint: "" };
const SETTINGS = { phi0: 0.6, psi0: 0.3, sigma_pos: 3, sigma_amb: 4, steps: 3 };
const MUZZLE = [0, 15, 12];
const FLANK = [2, 14, 20];
const WATER = [3, 18, 20];
const NEIGHBOURS = { rule: "knn", parameters: { k: 60 } };

// What is shown in each step, what it points at, and what is said; numbers come from what is shown.
const STEPS = [
  {
    title: "An anchor",
    target: ".stage",
    show: { anchor: MUZZLE, step: 0 },
    say: () =>
      "A frozen network turns every image into a grid of patches, each with a feature vector. The photos are used without labels: all PPAP knows is how similar two features are. The anchor is the patch we ask about, here the cheetah's muzzle in the pink square: which other patches show the same thing? Every patch takes its turn as the anchor; click one to choose it.",
  },
  {
    title: "Positive, negative, ambiguous",
    target: ".settings",
    show: { anchor: MUZZLE, step: 0 },
    say: ({ first }) =>
      `Two thresholds answer that. Patches more similar to the anchor than Φ⁰ are taken to show the same thing and are positive, blue: ${count(first.positive)}. Patches less similar than Ψ⁰ are taken to show something else and are negative, dark: ${count(first.negative)}. Patches in between could be either: they are ambiguous, amber, and training leaves them out. Move Φ⁰ and Ψ⁰ and watch the sets change.`,
  },
  {
    title: "The proxy moves",
    target: ".steps",
    show: { anchor: MUZZLE, step: 3 },
    say: ({ first, last }) =>
      `One patch is a narrow view of a face. So PPAP takes the mean of the positives, the anchor's proxy, and measures similarity from there; the pink circle marks the patch nearest to it. This gives new positives, the proxy moves to their mean, and so on: ${count(first.positive)} positives became ${count(last.positive)}, on the other big cats too. With each move Φ falls (to ${fixed(last.phi, 2)}) and Ψ rises (to ${fixed(last.psi, 2)}), so the ambiguous zone narrows. Press Play to see it again.`,
  },
  {
    title: "More than the nearest neighbours",
    target: ".compare",
    show: { anchor: FLANK, step: 3, rival: NEIGHBOURS },
    say: ({ last, rival }) =>
      `Why not simply take the most similar patches? This patch shows the ground right beside the running cheetah. A nearest-neighbour rule takes the ${count(rival.positive)} patches most similar to this one patch: ${percent(rival.precision)} of them are correct, that is, of the anchor's class. PPAP measures from the proxy, which stands for all its positives: it finds ${count(last.positive)}, and ${percent(last.precision)} of those are correct.`,
  },
  {
    title: "And where it fails",
    target: ".steps",
    show: { anchor: WATER, step: 3, rival: NEIGHBOURS },
    say: ({ first, last, rival, name }) =>
      `A proxy can also drift away. This patch shows ${name}: ${percent(first.precision)} of its positives were correct at first, and only ${percent(last.precision)} are at the end, against ${percent(rival.precision)} of the nearest neighbours. Each wrong positive teaches the network a mistake. Go through the steps, then raise Φ⁰ to 0.75: the proxy stays on the water.`,
  },
  {
    title: "Before and after training",
    target: ".features",
    show: { anchor: MUZZLE, step: 3 },
    say: () =>
      "So far the features were frozen. Training pulls every anchor and its positives together and pushes its negatives away, which changes the features that the next sets are made from. To see it, run the recipe “samples” in the Train tab; it takes a minute or two. Then choose “Run” here, or “Other features…” under “Compare with”, to see one anchor before and after. What next? Study measures how often the sets are correct on your images, Evaluate scores a run, and Segment applies it.",
  },
];

export class Tour {
  /** page is Explore; the tour shows things in it and puts everything back in the end. */
  constructor(page, root) {
    this.page = page;
    this.root = root;
    this.at = null;
    this.title = h("h2", {});
    this.text = h("p", { role: "status" });
    this.dots = h("span", { class: "dots", "aria-hidden": "true" }, STEPS.map(() => h("i", {})));
    this.back = h("button", { type: "button", onclick: () => this.go(this.at - 1) }, "Back");
    this.next = h("button", { type: "button", class: "primary", onclick: () => (this.at === STEPS.length - 1 ? this.end() : this.go(this.at + 1)) });
    this.skip = h("button", { type: "button", class: "quiet", onclick: () => this.end() }, "Skip the tour");
    this.card = h("div", { class: "lesson", hidden: true }, h("header", {}, this.title, this.dots), this.text, h("div", { class: "inline" }, this.back, this.next, this.skip));
    const begin = h("button", { type: "button", class: "primary", onclick: () => this.begin() }, "Take the tour");
    const later = h("button", { type: "button", class: "quiet", onclick: () => this.forget() }, "No, thanks");
    this.invitation = h("div", { class: "invitation", hidden: remembered() }, h("span", {}, "New to PPAP? Six steps show how an anchor finds patches that show the same thing, what its proxy does, why some patches stay ambiguous, and what training makes of it."), begin, later);
    this.element = h("section", { class: "card tour", "aria-label": "Tour" }, this.invitation, this.card);
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && this.at !== null && this.end());
    this.element.hidden = this.invitation.hidden;
  }

  forget() {
    remember();
    this.invitation.hidden = true;
    this.element.hidden = this.at === null;
  }

  /** Begin: the sample photos, whatever is shown now. */
  async begin() {
    if (this.at !== null) return;
    const { page } = this;
    if (!page.state.view) return; // nothing to go back to yet: the first batch is still being made
    this.before = { link: page.link(), batch: page.state.batch };
    this.forget();
    const { recipe } = page.state.batch;
    const there = recipe.source === SAMPLES.source && recipe.size === SAMPLES.size && recipe.picture === "square" && recipe.backbone === SAMPLES.backbone;
    if (!there && !(await page.bar.load(SAMPLES))) return;
    page.setLook({ style: "sets", show: { positive: true, ambiguous: true, negative: true } });
    await this.go(0);
  }

  async go(index) {
    const step = STEPS[index];
    if (!step) return;
    this.at = index;
    const { page } = this;
    page.camera.fill(null);
    await page.show({ settings: SETTINGS, rival: null, ...step.show });
    if (this.at !== index) return;
    const { view, rivalView, batch, anchor } = page.state;
    const label = batch.labels?.[anchor] ?? -1;
    this.title.textContent = `${index + 1}. ${step.title}`;
    this.text.textContent = step.say({ first: view.steps[0], last: view.steps[view.steps.length - 1], rival: rivalView?.steps[0], name: label >= 0 ? batch.classes[label] : "the image" });
    this.back.disabled = index === 0;
    this.next.textContent = index === STEPS.length - 1 ? "Finish" : "Next";
    this.skip.hidden = index === STEPS.length - 1;
    [...this.dots.children].forEach((dot, i) => dot.classList.toggle("past", i <= index));
    this.element.hidden = this.card.hidden = false;
    this.element.dataset.step = String(index + 1);
    this.point(step.target);
    this.next.focus({ preventScroll: true });
  }

  point(target) {
    for (const old of this.root.querySelectorAll(".toured")) old.classList.remove("toured");
    const found = target && this.root.querySelector(target);
    if (!found) return;
    found.classList.add("toured");
    found.scrollIntoView({ block: "nearest" });
  }

  /** Put back what was shown before. */
  async end() {
    const { page, before } = this;
    this.at = null;
    this.point(null);
    this.card.hidden = this.element.hidden = true;
    delete this.element.dataset.step;
    await page.restore(before.link, before.batch);
  }
}

function remembered() {
  try {
    return localStorage.getItem(SEEN) !== null;
  } catch {
    return true; // a page that may keep nothing would ask again and again
  }
}

function remember() {
  try {
    localStorage.setItem(SEEN, "1");
  } catch {
    // asked again next time
  }
}
