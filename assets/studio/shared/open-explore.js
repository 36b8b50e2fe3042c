// What other tabs take from the Explore page, and give to it.
import { openTab } from "./tabs.js";

/** The Explore page, once it is there. */
export const explore = () => document.querySelector("#explore")?.studio ?? null;

/** Show Explore with these settings, and with the images of a request; it must be there. */
export function openExplore(settings, request = null) {
  const page = explore();
  if (request && !page.bar.holds(request)) page.bar.load({ ...page.bar.request, images: undefined, ...request });
  page.controls.set(settings);
  page.changeSettings(settings);
  openTab("Explore");
}
