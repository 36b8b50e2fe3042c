// The first three principal components as red, green and blue; a side of the first can be taken away.
import { bytes } from "../../shared/codec.js";
import { choice, h } from "../../shared/dom.js";
import { whereIs } from "../tiles.js";
import { described, instead } from "./described.js";
import { optionsOf } from "./options.js";
import { swatch } from "./scales.js";
import { tint } from "./tint.js";

const read = (reply) => ({ ...reply, rgb: bytes(reply.rgb), foreground: bytes(reply.foreground) });
const PURE = [["1st", [255, 0, 0]], ["2nd", [0, 255, 0]], ["3rd", [0, 0, 255]]];

/** Where a patch is, as shares of its image: another resolution has other rows and columns. */
function shareOf(batch, patch) {
  const [image, row, column] = whereIs(batch, patch);
  const [rows, columns] = batch.grids[image];
  return [image, Number(((row + 0.5) / rows).toFixed(4)), Number(((column + 0.5) / columns).toFixed(4))];
}

const found = (state) => described(state, "components", optionsOf(components, state), read);

export const components = {
  key: "components",
  title: "Components",
  help: "The first three principal components as red, green and blue",
  group: "Features",
  onMap: true,
  options: { background: null }, // null: shown; "auto"; or a patch of it as shares of its image
  fits({ background }, batch) {
    const here = !Array.isArray(background) || background[0] < batch.names.length;
    return { background: here ? background : null };
  },
  read(name, text) {
    const at = text.split(",").map(Number);
    if (text === "auto") return text;
    const fine = at.length === 3 && Number.isInteger(at[0]) && at.every((n) => n >= 0) && at[1] < 1 && at[2] < 1;
    return fine ? at : undefined;
  },
  colours(state) {
    const here = found(state);
    return here && tint(here.foreground.length, state.look.opacity, (j) => here.rgb.subarray(3 * j, 3 * j + 3));
  },
  legend(state) {
    const here = found(state);
    if (!here) return instead(state, "components", optionsOf(components, state), "Computing the components…");
    const total = here.foreground.length;
    const hidden = total - here.foreground.reduce((sum, one) => sum + one, 0);
    const title = h("span", { class: "chip" }, "Principal components and their shares of the variance");
    const chips = [title, ...PURE.map(([place, colour], i) => swatch(colour, `${place}: ${Math.round(100 * here.explained[i])} %`))];
    return hidden ? [...chips, swatch([0, 0, 0], `background, ${Math.round((100 * hidden) / total)} % of the patches`)] : chips;
  },
  says(state, patch) {
    const here = found(state);
    return here && !here.foreground[patch] ? "background" : "";
  },
  controls(state, act) {
    const { background } = optionsOf(components, state);
    const picked = choice(
      "Background",
      [["keep", "Shown", "Components of all patches"], ["auto", "Hidden", "Hides the side of the first component that covers more of the images' edges"], ["anchor", "Hide the anchor's side", "Hides the anchor's side of the first component (Alt-click a patch to hide its side)"]],
      background === null ? "keep" : background === "auto" ? "auto" : "anchor",
      (key) => act.set({ background: key === "keep" ? null : key === "auto" ? "auto" : shareOf(state.batch, state.anchor) }),
    );
    return [h("span", {}, "Background"), picked.group, h("span", { class: "help" }, "Alt-click a patch to hide its side")];
  },
  click(state, act, patch) {
    const here = found(state);
    const hidden = here && !here.foreground[patch];
    act.set({ background: hidden ? null : shareOf(state.batch, patch) });
  },
};
