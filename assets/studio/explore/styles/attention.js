// Where the last block of a ViT looks, head by head: from its class token or from the anchor.
import { bytes } from "../../shared/codec.js";
import { choice, h, select } from "../../shared/dom.js";
import { described, instead } from "./described.js";
import { optionsOf } from "./options.js";
import { cividis, scaleLegend } from "./scales.js";
import { tint } from "./tint.js";

const MEAN = "mean";
const OF_LEVEL = Array.from({ length: 256 }, (_, level) => cividis(level / 255));
const read = (reply) => ({ ...reply, levels: bytes(reply.levels), shown: bytes(reply.shown) });

/** What the server is asked for: the anchor only where attention goes out from it. */
function wanted(state) {
  const options = optionsOf(attention, state);
  return options.from === "anchor" ? { ...options, anchor: state.anchor } : options;
}

const found = (state) => described(state, "attention", wanted(state), read);
const told = (value) => String(Number(value.toPrecision(2)));

export const attention = {
  key: "attention",
  title: "Attention",
  help: "What the ViT's last block attends to, head by head",
  group: "Features",
  grey: true,
  onMap: true,
  live: true,
  options: { head: null, from: "class" }, // null: the mean of all heads
  unavailable(batch) {
    if (!batch.attends) return "These features came without their network, so there is no attention to show.";
    return batch.attends.reason;
  },
  fits({ head, from }, { attends }) {
    return { head: head !== null && head < (attends?.heads ?? 0) ? head : null, from: attends?.class_token ? from : "anchor" };
  },
  read(name, text) {
    if (name === "from") return ["class", "anchor"].includes(text) ? text : undefined;
    return /^[1-9]\d{0,2}$/.test(text) ? Number(text) - 1 : undefined;
  },
  write: (name, value) => (name === "head" ? String(value + 1) : String(value)),
  colours(state) {
    const here = found(state);
    return here && tint(here.levels.length, state.look.opacity, (j) => (here.shown[j] ? OF_LEVEL[here.levels[j]] : null));
  },
  legend(state) {
    const here = found(state);
    if (!here) return instead(state, "attention", wanted(state), "Reading the attention…");
    const ticks = [0, 1 / 3, 2 / 3, 1].map((share) => told(share * here.most));
    const bar = scaleLegend("Attention relative to an even share", ticks);
    const rest = Math.round(100 * (1 - here.on_patches));
    if (rest > 0) bar.push(h("span", { class: "chip" }, `${rest} % goes to class and register tokens`));
    if (here.left) bar.push(h("span", { class: "chip" }, `${here.left} ${here.left === 1 ? "image" : "images"} to go…`));
    return bar;
  },
  says(state, patch) {
    const here = found(state);
    return here?.shown[patch] ? `attention ${told((here.levels[patch] / 255) * here.most)} times an even share` : "";
  },
  controls(state, act) {
    const { heads, class_token: token } = state.batch.attends;
    const { head, from } = optionsOf(attention, state);
    const names = Array.from({ length: heads }, (_, i) => [String(i), `Head ${i + 1}`]);
    const one = select("Head", [[MEAN, "Mean of all"], ...names], head === null ? MEAN : String(head), (key) => act.set({ head: key === MEAN ? null : Number(key) }));
    one.field.classList.add("row");
    const starts = [["class", "Class token", "Attention from the class token of every image"], ["anchor", "Anchor", "Attention from the anchor within its image"]];
    const start = choice("From", starts, from, (key) => act.set({ from: key }));
    const button = start.group.querySelector("[data-value=class]");
    if (!token) Object.assign(button, { disabled: true, title: "This ViT has no class token." });
    return [one.field, h("span", {}, "From"), start.group];
  },
};
