// What Segment shows as parts of a link, and back.
import { USUAL, readScales } from "./switches.js";

/** What may be in a link. */
export const NAMES = ["source", "folder", "split", "set", "size", "backbone", "clusters", "run", "which", "file", "refine", "crf", "mirror", "scales", "window", "shifts", "show", "start"];

/** A request as texts by name; empty where it is as usual. */
export function writeRequest({ source, folder, split, of, size, backbone, clusters, checkpoint, refine, mirror, scales, window, shifts }, config) {
  const frozen = checkpoint === null;
  const unless = (usual, value) => (value === usual ? "" : value);
  return {
    source: unless("samples", source),
    folder: source === "folder" ? folder : "",
    split: source === "folder" ? split : "",
    // Uploaded images have no address of their own: the link holds while the studio keeps them.
    set: source === "files" ? of : "",
    size: frozen ? unless(448, size) : "",
    backbone: frozen ? unless(config.backbone, backbone) : "",
    clusters: frozen ? unless(config.clusters, clusters) : "",
    run: checkpoint?.run,
    which: checkpoint?.which,
    file: checkpoint?.file,
    refine: unless("none", refine),
    mirror: mirror ? "1" : "",
    scales: unless("1", scales.join(" ")),
    window: window ? String(window) : "",
    shifts: shifts > 1 ? String(shifts) : "",
  };
}

/** {request, odd, gone}: what a link asks for, what makes no sense in it, and a checkpoint that is gone. */
export function readRequest(view, config) {
  const odd = [];
  const usual = { source: "samples", size: 448, backbone: config.backbone, clusters: config.clusters, checkpoint: null, ...USUAL };
  const request = { ...usual, files: undefined, of: undefined, folder: undefined, split: undefined };
  const take = (name, fine, read = (text) => text) => {
    if (!(name in view)) return;
    if (fine(view[name])) request[name] = read(view[name]);
    else odd.push(name);
  };
  take("source", (text) => (text === "files" ? Boolean(view.set) : text === "folder" ? Boolean(view.folder) : text === "samples"));
  if (request.source === "files") request.of = view.set;
  if (request.source === "folder") Object.assign(request, { folder: view.folder, split: view.split ?? "" });
  take("size", (text) => config.sizes.includes(Number(text)), Number);
  take("backbone", (text) => config.backbones.some(({ name }) => name === text));
  take("clusters", (text) => Number.isInteger(Number(text)) && Number(text) >= 2 && Number(text) <= config.most_clusters, Number);
  // Where there is no CRF, the studio says what stands in.
  take("refine", (text) => ["none", "crf", "pamr"].includes(text));
  if (view.crf === "1" && !view.refine) request.refine = "crf"; // links of earlier versions
  take("mirror", (text) => text === "1", () => true);
  take("scales", (text) => readScales(text) !== null, readScales);
  for (const name of ["window", "shifts"]) take(name, (text) => /^\d{1,4}$/.test(text), Number);
  let gone = "";
  if (view.run) {
    const found = config.checkpoints.find(({ run }) => run === view.run);
    const which = found?.which.includes(view.which) ? view.which : found?.which[0];
    if (found) request.checkpoint = { run: view.run, which };
    else gone = view.run;
  } else if (view.file && config.files) request.checkpoint = { file: view.file };
  else if (view.file) odd.push("file");
  return { request, odd, gone };
}
