// Dense k-NN retrieval of reports: what trained features find beside frozen ones.
import { card, count, h } from "../shared/dom.js";
import { perCent } from "./form.js";

const KINDS = [["trained", "trained features"], ["frozen", "frozen features"]];

/** The card; null where no report shown has measured it. */
export function retrievalCard(shown) {
  const measured = shown.filter(({ report }) => report.retrieval);
  if (!measured.length) return null;
  const { card: element, body } = card("Retrieval", { class: "card retrieval" });
  const rows = measured.flatMap(({ title, report }) =>
    KINDS.map(([kind, name]) => {
      const { accuracy, miou } = report.retrieval[kind];
      return h("tr", { class: kind === "trained" ? "measured" : "" }, h("th", {}, shown.length > 1 ? `${title}, ${name}` : name[0].toUpperCase() + name.slice(1)), h("td", {}, perCent(accuracy)), h("td", {}, perCent(miou)));
    }),
  );
  const gains = measured.map(({ title, report }) => gain(shown.length > 1 ? `${title}: training` : "Training", report.retrieval));
  const abouts = new Set(measured.map(({ report }) => about(report.retrieval)));
  body.append(
    h("div", { class: "scroll" }, h("table", { class: "numbers" }, h("thead", {}, h("tr", {}, ["", "Accuracy", "mIoU"].map((name) => h("th", {}, name)))), h("tbody", {}, rows))),
    ...gains.filter(Boolean).map((text) => h("p", {}, text)),
    ...[...abouts].map((text) => h("p", { class: "help" }, text)),
  );
  return element;
}

function gain(who, { trained, frozen }) {
  if (trained.miou === null || frozen.miou === null) return null;
  const points = trained.miou - frozen.miou;
  if (Math.abs(points) < 0.05) return `${who} changes mIoU by less than 0.1 points.`;
  return `${who} ${points > 0 ? "gains" : "loses"} ${Math.abs(points).toFixed(1)} points of mIoU.`;
}

const about = ({ split, trained }) => `Every patch takes the labels of its ${trained.neighbours} nearest neighbours among ${count(trained.memory)} labelled patches of the split ${split}: this tests the features without training a probe.`;
