// The parameters of styles: kept by style, so that they are still there when it is chosen again.
//
// A style with parameters has
//   options               their usual values, by name
//   fits(options, batch)  the same, made to fit a batch; where it is left out, as they are
//   read(name, text)      a value from a link; undefined for nonsense
//   write(name, value)    a value as a link has it; where it is left out, String(value)
//   controls(state, act)  elements that change them with act.set({name: value})
// act has pick(patch) and set(options), and is given to legend and click, too.

/** A style's options as they are for the batch that is shown. */
export function optionsOf(style, { look, batch }) {
  const options = { ...style.options, ...look.options?.[style.key] };
  return style.fits && batch ? style.fits(options, batch) : options;
}

/** Options of the chosen style that differ from the usual, as a link names them. */
export function linked(style, state) {
  const options = optionsOf(style, state);
  return Object.keys(style.options ?? {})
    .filter((name) => JSON.stringify(options[name]) !== JSON.stringify(style.options[name]))
    .map((name) => [`style.${name}`, style.write?.(name, options[name]) ?? String(options[name])]);
}

/** Options of a style in a link; names of what makes no sense are added to `ignored`. */
export function unlinked(style, query, ignored) {
  const options = {};
  for (const [key, text] of query) {
    if (!key.startsWith("style.")) continue;
    const name = key.slice(6);
    const value = name in (style.options ?? {}) ? style.read(name, text) : undefined;
    if (value === undefined) ignored.push(key);
    else options[name] = value;
  }
  return options;
}
