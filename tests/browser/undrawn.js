// Stands in for Plotly where no test looks at what it draws: it takes longer than all the rest of a
// page. It keeps what it is given, answers as Plotly does, and is loaded as Plotly is.
(() => {
  const keep = async (plot, data, layout) => {
    plot.data = data ?? plot.data;
    plot.layout = layout ?? plot.layout;
    plot.on = () => plot;
    return plot;
  };
  const leave = async (plot) => plot;
  const plotly = { react: keep, newPlot: keep, update: leave, restyle: leave, relayout: leave, Plots: { resize() {} } };
  const { append } = Element.prototype;
  Element.prototype.append = function (...nodes) {
    const [script] = nodes;
    if (!script?.src?.endsWith("/plotly.min.js")) return append.apply(this, nodes);
    window.Plotly = plotly;
    setTimeout(() => script.dispatchEvent(new Event("load")));
  };
})();
