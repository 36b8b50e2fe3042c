// The keyboard: what each key does, and the sheet that lists them.
import { h } from "../shared/dom.js";

const KEYS = [
  ["← → ↑ ↓", "Move the anchor by one patch (with Shift: five)"],
  [", .", "Previous and next step"],
  ["Space", "Play or pause the steps"],
  ["1 2 3", "Show or hide positive, ambiguous, negative"],
  ["o", "Next overlay (with Shift: previous)"],
  ["g", "Grid on or off"],
  ["+ − 0", "Zoom in, zoom out, fit (or Ctrl and the mouse wheel), centred on the pointer or else on the anchor"],
  ["f", "Enlarge the anchor's image, or show all images again (or double-click)"],
  ["[ ]", "Previous and next image, while one is enlarged"],
  ["k", "Keep the anchor, or remove it (Shift-click: any patch; Shift and k: remove all)"],
  ["s", "Notes: save this view under a name, or open a saved one"],
  ["n p", "Next and previous anchor worth a look"],
  ["Esc", "Show all images again; then clear the lasso"],
  ["?", "This list"],
];

export function keySheet() {
  const sheet = h(
    "dialog",
    { class: "sheet keys", "aria-label": "Keyboard shortcuts" },
    h("header", {}, h("h2", {}, "Keyboard shortcuts"), h("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: () => sheet.close() }, "✕")),
    h("dl", {}, KEYS.map(([keys, text]) => [h("dt", {}, keys.split(" ").map((key) => h("kbd", {}, key))), h("dd", {}, text)])),
    h("p", { class: "help" }, "These keys work while the mosaic has focus: click it, or press Tab until you reach it."),
  );
  sheet.addEventListener("click", (event) => event.target === sheet && sheet.close());
  return sheet;
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Listen on a mosaic's element; `actions` has a function for every key. */
export function listenToKeys(element, actions) {
  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROWS[event.key];
    const action = arrow
      ? () => actions.move(arrow[0], arrow[1], event.shiftKey ? 5 : 1)
      : {
          ",": () => actions.step(-1),
          ".": () => actions.step(1),
          " ": () => actions.play(),
          1: () => actions.toggle("positive"),
          2: () => actions.toggle("ambiguous"),
          3: () => actions.toggle("negative"),
          g: () => actions.grid(),
          o: () => actions.overlay(1),
          O: () => actions.overlay(-1),
          k: () => actions.keep(),
          K: () => actions.letGo(),
          s: () => actions.notes(),
          n: () => actions.worth(1),
          p: () => actions.worth(-1),
          f: () => actions.fill(),
          "[": () => actions.another(-1),
          "]": () => actions.another(1),
          "+": () => actions.zoom(1.4),
          "=": () => actions.zoom(1.4),
          "-": () => actions.zoom(1 / 1.4),
          0: () => actions.fit(),
          Escape: () => actions.clear(),
          "?": () => actions.keys(),
        }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
