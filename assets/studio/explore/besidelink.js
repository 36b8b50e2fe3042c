// The second features in the page's address, and back.
const FIELDS = ["backbone", "checkpoint", "run", "at", "output", "npz", "batch"];
const LONGEST = 4096;

/** beside: what Beside.link() gives, or null. */
export function writeBeside(query, beside) {
  if (!beside) return;
  query.set("beside", beside.kind);
  for (const name of FIELDS) {
    const value = beside.fields?.[name];
    if (value !== undefined && value !== null && value !== "" && value !== 0) query.set(`beside.${name}`, String(value));
  }
  if (beside.settings) for (const [name, value] of Object.entries(beside.settings)) query.set(`beside.${name}`, String(value));
  if (beside.edited !== "both") query.set("beside.edited", beside.edited);
  if (beside.morph > 0) query.set("morph", String(Math.round(100 * beside.morph) / 100));
}

/** check(name, fine) notes what makes no sense; null where a link says nothing of second features. */
export function readBeside(query, ranges, check) {
  const kind = query.get("beside");
  if (!check("beside", kind === "same" || kind === "features")) return null;
  const beside = { kind, fields: {}, settings: null, edited: "both", morph: 0 };
  for (const name of FIELDS) {
    const value = query.get(`beside.${name}`);
    const fine = value !== null && value.length <= LONGEST && (name !== "at" || /^\d{1,12}$/.test(value));
    if (check(`beside.${name}`, fine)) beside.fields[name] = name === "at" ? Number(value) : value;
  }
  const settings = {};
  for (const { name, least, most, whole } of ranges) {
    const text = query.get(`beside.${name}`);
    const value = Number(text);
    const fine = text !== "" && value >= least && value <= most && (!whole || Number.isInteger(value));
    if (check(`beside.${name}`, fine)) settings[name] = value;
  }
  if (Object.keys(settings).length === ranges.length) beside.settings = settings;
  const edited = query.get("beside.edited");
  if (check("beside.edited", edited === "first" || edited === "second")) beside.edited = edited;
  const morph = Number(query.get("morph"));
  if (check("morph", morph >= 0 && morph <= 1)) beside.morph = morph;
  // Without settings of its own the second has the first's.
  if (!beside.settings) beside.edited = "both";
  return beside;
}
