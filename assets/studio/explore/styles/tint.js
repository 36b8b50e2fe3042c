// Colours of patches → the bytes that the mosaic draws.

/** of(j) → [red, green, blue, share of the opacity or nothing], or null for a patch left alone. */
export function tint(count, opacity, of) {
  const out = new Uint8ClampedArray(count * 4);
  for (let j = 0; j < count; j++) {
    const colour = of(j);
    if (!colour) continue;
    out[4 * j] = colour[0];
    out[4 * j + 1] = colour[1];
    out[4 * j + 2] = colour[2];
    out[4 * j + 3] = Math.round(255 * opacity * (colour[3] ?? 1));
  }
  return out;
}
