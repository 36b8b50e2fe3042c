// What other tabs take from the Explore page, and give to it.

/** The Explore page, once it is there. */
export const explore = () => document.querySelector("#explore")?.studio ?? null;

/** Show Explore with these settings; it must be there. */
export function openExplore(settings) {
  const page = explore();
  page.controls.set(settings);
  page.changeSettings(settings);
  [...document.querySelectorAll("button[role=tab]")].find((tab) => tab.textContent.trim() === "Explore")?.click();
}
