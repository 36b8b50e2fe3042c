// What other tabs take from the Explore page, and give to it.
import { openTab } from "./tabs.js";

/** The Explore page, once it is there. */
export const explore = () => document.querySelector("#explore")?.studio ?? null;

/**
 * Show Explore with these settings, and with the images of a request; it must be there.
 *
 * anchors: [image, row, column] on these images. The first becomes the anchor; several are kept, too.
 */
export function openExplore(settings, request = null, anchors = []) {
  const page = explore();
  const load = request && !page.bar.holds(request);
  if (load) page.bar.load({ ...page.bar.request, images: undefined, ...request });
  page.controls.set(settings);
  page.changeSettings(settings);
  if (anchors.length) page.goTo(anchors, settings, load);
  openTab("Explore");
}
