// Parts of which one is seen at a time, behind tabs; which one is kept with the dashboard.
import { h } from "./dom.js";
import { ask, askAbout } from "./explain.js";
import { saveMenu } from "./save.js";

/** @typedef {import("./types").Part} Part @typedef {{ name: string, explain: string, make: () => Part }} Tab */

/**
 * Each part is made when it is first seen.
 * @param {Tab[]} tabs
 * @param {() => string} chosen
 * @param {(name: string) => void} choose
 * @returns {Part & { show: () => void }}
 */
export function makeTabs(tabs, chosen, choose) {
  /** @type {Map<string, Part>} */ const made = new Map();
  const buttons = tabs.map(({ name, explain }) => h("button", { role: "tab", "data-explain": explain, onclick: () => choose(name) }, name));
  const place = h("div", { class: "tab", role: "tabpanel" });
  const list = h("div", { class: "tablist", role: "tablist", onkeydown: (/** @type {KeyboardEvent} */ event) => {
    const turn = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!turn) return;
    const next = (buttons.findIndex((button) => button === document.activeElement) + turn + tabs.length) % tabs.length;
    choose(tabs[next].name);
    buttons[next].focus();
    event.preventDefault();
    event.stopPropagation();
  } }, ...buttons);
  const seen = () => [...place.querySelectorAll("canvas")].filter((canvas) => canvas.offsetParent);
  const save = saveMenu(() => (place.ariaLabel ?? "").toLowerCase().replaceAll(" ", "-"), seen);
  const why = ask("tab");
  function show() {
    const name = tabs.some((tab) => tab.name === chosen()) ? chosen() : tabs[0].name;
    tabs.forEach((tab, k) => {
      const here = tab.name === name;
      buttons[k].setAttribute("aria-selected", String(here));
      buttons[k].tabIndex = here ? 0 : -1;
      if (here && !made.has(name)) {
        const part = tab.make();
        made.set(name, part);
        place.append(part.el);
      }
      const part = made.get(tab.name);
      if (part) part.el.hidden = !here;
    });
    place.setAttribute("aria-label", name);
    askAbout(why, name);
    save.hidden = !made.get(name)?.el.querySelector("canvas");
  }
  show();
  return { el: h("section", { class: "tabs" }, h("div", { class: "tabhead" }, list, save, why), place), show, stop: () => made.forEach((part) => part.stop()) };
}
