// Going from one tab to another, with something in hand.

const TRIES = 100;
const TRY_AGAIN_MS = 100;
// Of a narrow window, some tabs are in gradio's menu.
const TABS = "button[role=tab], .overflow-dropdown button";

/** The title of the tab that an element is the button of, or null. */
export const tabOf = (element) => element.closest?.(TABS)?.textContent.trim() ?? null;

export function openTab(title) {
  [...document.querySelectorAll(TABS)].find((tab) => tab.textContent.trim() === title)?.click();
}

/** Open a tab; its page, once it is there, or null. */
export async function visit(title) {
  openTab(title);
  for (let i = 0; i < TRIES; i++) {
    const page = document.querySelector(`#${title.toLowerCase()}`)?.studio;
    if (page) return page;
    await new Promise((resolve) => setTimeout(resolve, TRY_AGAIN_MS));
  }
  return null;
}
