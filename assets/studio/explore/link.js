// The state of the page as a link, and back.
import { MOST } from "./kept.js";
import { readBeside, writeBeside } from "./besidelink.js";
import { isStyle, styleOf } from "./styles/index.js";
import { linked, unlinked } from "./styles/options.js";

const SETS = ["positive", "ambiguous", "negative"];
const REQUEST = ["source", "folder", "split", "count", "seed", "images", "size", "picture", "kind", "backbone", "checkpoint", "run", "at", "output", "npz", "memory"];
const FORMS = { size: /^\d{1,5}$/, picture: /^(square|whole)$/, at: /^\d{1,12}$/, output: /^(backbone|projection|frozen)$/ };
const OWN = ["npz", "memory"]; // sources with features of their own
const NUMBERS = new Set(["count", "seed", "size", "at"]);

/** Whether these are an image, a row and a column. */
const isPlace = (numbers) => numbers.length === 3 && numbers.every((n) => Number.isInteger(n) && n >= 0);

export function writeLink(location, { batch, anchor, settings, step, look, rival, beside = null, filling = null, kept = [], measure = null }) {
  const query = new URLSearchParams();
  for (const name of REQUEST) {
    const value = batch.recipe[name];
    if (value !== undefined && value !== "") query.set(name, String(value));
  }
  // Uploaded images have no address of their own: the link holds while the studio keeps them.
  if (batch.recipe.files) query.set("batch", batch.batch);
  query.set("anchor", anchor);
  query.set("step", String(step));
  for (const [name, value] of Object.entries(settings)) query.set(name, String(value));
  query.set("style", look.style);
  for (const [name, value] of linked(styleOf(look.style), { look, batch })) query.set(name, value);
  query.set("opacity", String(look.opacity));
  query.set("show", SETS.filter((set) => look.show[set]).join(","));
  if (look.grid) query.set("grid", "1");
  if (filling !== null) query.set("fill", String(filling));
  if (kept.length) query.set("anchors", kept.map((where) => where?.join(",") ?? "").join(";"));
  if (measure) query.set("trust", measure);
  if (rival) {
    query.set("rule", rival.rule);
    for (const [name, value] of Object.entries(rival.parameters)) query.set(`rule.${name}`, String(value));
  }
  writeBeside(query, beside);
  return `${location.origin}${location.pathname}?${query}`;
}

/** What a link asks for; what makes no sense in it is left out and named in `ignored`. */
export function readLink(search, config) {
  const query = new URLSearchParams(search);
  const link = { ignored: [] };
  const check = (name, fine) => {
    if (query.has(name) && !fine) link.ignored.push(name);
    return query.has(name) && fine;
  };
  check("tab", false); // a tab that there is has been read by then
  if (query.has("batch")) link.batch = query.get("batch");
  if (query.has("source")) {
    // What a link leaves out is left out, whatever is on screen.
    link.request = { picture: "square", kind: "", run: "", at: 0, output: "", npz: "", memory: "" };
    for (const name of REQUEST) {
      if (!query.has(name)) continue;
      const value = query.get(name);
      const [least, most] = name === "size" ? config.size_range : [-Infinity, Infinity];
      if (!check(name, !FORMS[name] || (FORMS[name].test(value) && !(value < least || value > most)))) continue;
      if (name === "source") link.request.backbone = OWN.includes(value) ? value : config.backbone;
      link.request[name] = name === "images" ? value.split(",").map(Number) : NUMBERS.has(name) ? Number(value) : value;
    }
  }
  const anchor = (query.get("anchor") ?? "").split(",").map(Number);
  if (check("anchor", isPlace(anchor))) link.anchor = anchor;
  const filling = Number(query.get("fill"));
  if (check("fill", query.get("fill") !== "" && Number.isInteger(filling) && filling >= 0)) link.filling = filling;
  const kept = (query.get("anchors") ?? "").split(";").map((one) => (one === "" ? null : one.split(",").map(Number)));
  if (check("anchors", kept.length <= MOST && kept.every((one) => one === null || isPlace(one)))) link.kept = kept;
  if (check("trust", config.measures.some(({ key }) => key === query.get("trust")))) link.measure = query.get("trust");
  const step = Number(query.get("step"));
  if (check("step", Number.isInteger(step) && step >= 0)) link.step = step;
  const settings = {};
  for (const { name, least, most, whole } of config.ranges) {
    const value = Number(query.get(name));
    const fine = query.get(name) !== "" && value >= least && value <= most;
    if (check(name, fine && (!whole || Number.isInteger(value)))) settings[name] = value;
  }
  if (Object.keys(settings).length === config.ranges.length) link.settings = settings;
  const look = {};
  if (check("style", isStyle(query.get("style")))) {
    look.style = query.get("style");
    const options = unlinked(styleOf(look.style), query, link.ignored);
    if (Object.keys(options).length) look.options = { [look.style]: options };
  }
  const opacity = Number(query.get("opacity"));
  if (check("opacity", opacity >= 0 && opacity <= 1)) look.opacity = opacity;
  if (query.has("show")) {
    const shown = query.get("show").split(",");
    look.show = Object.fromEntries(SETS.map((set) => [set, shown.includes(set)]));
  }
  if (query.has("grid")) look.grid = query.get("grid") === "1";
  if (Object.keys(look).length) link.look = look;
  if (check("rule", config.rules.some((rule) => rule.key === query.get("rule")))) {
    link.rule = query.get("rule");
    link.parameters = {};
    for (const [name, value] of query) {
      if (name.startsWith("rule.")) link.parameters[name.slice(5)] = value;
    }
  }
  link.beside = readBeside(query, config.ranges, check);
  return link;
}
