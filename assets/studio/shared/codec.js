// What the server packs into strings, unpacked. The Python side is ppap/studio/explore/views.py.

export const NEGATIVE = 0;
export const AMBIGUOUS = 1;
export const POSITIVE = 2;
export const ANCHOR = 3;

export function bytes(base64) {
  const text = atob(base64);
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
  return out;
}

/** Two bits a patch → one Uint8Array of codes per step. */
export function unpackCodes(base64, patches, steps) {
  const packed = bytes(base64);
  const all = new Uint8Array(packed.length * 4);
  for (let i = 0, j = 0; i < packed.length; i++) {
    const four = packed[i];
    all[j++] = four & 3;
    all[j++] = (four >> 2) & 3;
    all[j++] = (four >> 4) & 3;
    all[j++] = four >> 6;
  }
  return split(all, patches, steps);
}

/** One byte a patch → one Uint8Array of similarity levels per step. */
const unpackLevels = (base64, patches, steps) => split(bytes(base64), patches, steps);

const split = (all, patches, steps) =>
  Array.from({ length: steps }, (_, t) => all.subarray(t * patches, (t + 1) * patches));

/** A similarity level 0…255 → the cosine it stands for. */
export const cosine = (level) => level / 127.5 - 1;

export const int16 = (base64) => new Int16Array(bytes(base64).buffer);
export const float32 = (base64) => new Float32Array(bytes(base64).buffer);

/** A server's view → {steps, codes: [Uint8Array], levels: [Uint8Array]}. */
export function readView(reply, patches) {
  const steps = reply.steps.length;
  return {
    steps: reply.steps,
    codes: unpackCodes(reply.codes, patches, steps),
    levels: unpackLevels(reply.similarity, patches, steps),
  };
}
