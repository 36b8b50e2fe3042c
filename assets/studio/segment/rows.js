// Pictures of any shapes in rows of one width, all about as high as each other.

/**
 * [{from, to, height}, …]: rows of pictures whose widths and gaps add up to `width`.
 * ratios: width / height of every picture; wanted: the height that rows should have; most: what
 * none exceeds, so that a row may stay shorter than the width.
 */
export function rowsOf(ratios, width, gap, wanted, most) {
  const best = [{ cost: 0 }];
  for (let to = 1; to <= ratios.length; to++) {
    let sum = 0;
    best[to] = { cost: Infinity };
    for (let from = to - 1; from >= 0; from--) {
      sum += ratios[from];
      const full = (width - gap * (to - from - 1)) / sum;
      if (full < wanted / 3 && from < to - 1) break;
      // As unlike the wanted height as it is, twice as high or half as high alike.
      const cost = best[from].cost + Math.log(full / wanted) ** 2;
      if (cost < best[to].cost) best[to] = { cost, from, height: Math.min(full, most) };
    }
  }
  const rows = [];
  for (let to = ratios.length; to > 0; to = best[to].from) rows.unshift({ from: best[to].from, to, height: best[to].height });
  return rows;
}

/** The height of rows with which all pictures fill about the room there is, within limits. */
export function wantedHeight(ratios, width, room, least, most) {
  const sum = ratios.reduce((total, ratio) => total + ratio, 0) || 1;
  return Math.min(most, Math.max(least, Math.sqrt((room * width) / sum)));
}
