// A place to drop images into, or to choose them with.
import { h, newId } from "./dom.js";

/** {element, input}; onFiles(files) is called with what was chosen or dropped. */
export function fileDrop(most, onFiles, { title = "Drop images here", hint = `or choose files, up to ${most}`, accept = "image/*,.tif,.tiff,.jp2" } = {}) {
  const id = newId("files");
  const input = h("input", {
    id,
    type: "file",
    multiple: most > 1,
    class: "unseen",
    accept,
    onchange: () => {
      onFiles([...input.files]);
      input.value = "";
    },
  });
  const drop = h(
    "label",
    { for: id, class: "drop" },
    h("strong", {}, title),
    h("span", {}, hint),
  );
  const over = (on) => (event) => {
    event.preventDefault();
    drop.classList.toggle("over", on);
  };
  drop.addEventListener("dragover", over(true));
  drop.addEventListener("dragleave", over(false));
  drop.addEventListener("drop", (event) => {
    over(false)(event);
    onFiles([...event.dataTransfer.files]);
  });
  return { input, element: h("div", { class: "source-panel" }, input, drop) };
}

/** Upload files one after another: [{path, name}], or null when `isCurrent()` no longer holds. */
export async function uploadAll(files, upload, onProgress, isCurrent) {
  const sent = [];
  for (const file of files) {
    onProgress(`Uploading ${sent.length + 1} of ${files.length}`, sent.length / files.length);
    const { path } = await upload(file);
    sent.push({ path, name: file.name });
    if (!isCurrent()) return null;
  }
  return sent;
}
