// Plotly from the studio itself, loaded once by whoever needs it first.
import { h } from "./dom.js";

let plotly = null;
export function loadPlotly() {
  plotly ??= new Promise((resolve, reject) => {
    const script = h("script", { src: "studio/plotly.min.js", onload: () => resolve(window.Plotly) });
    script.onerror = () => reject(new Error("Plotly could not be loaded from the studio."));
    document.head.append(script);
  });
  return plotly;
}
