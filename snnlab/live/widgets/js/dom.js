// Elements of the page. Text is always text: nothing here understands HTML.

/**
 * Make an element: `h("button", { class: "primary", onclick: act }, "Start")`.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [attributes] functions become listeners; null and false leave the attribute out
 * @param {...(Node | string | null)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") el.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) el.setAttribute(name, value === true ? "" : String(value));
  }
  el.append(...children.filter((child) => child !== null));
  return el;
}

/** Write only what differs: what is written anew loses its selection. @param {HTMLElement} el @param {string} words */
export function write(el, words) {
  if (el.textContent !== words) el.textContent = words;
}

/** Fill the screen with an element; if one fills it, return. @param {Element | null} el */
export const fillScreen = (el) => (document.fullscreenElement ? document.exitFullscreen() : el?.requestFullscreen());

const PATHS = {
  play: "M4 2.5v11l9-5.5z", pause: "M4 2.5h3v11H4zM9 2.5h3v11H9z", stop: "M3.5 3.5h9v9h-9z", step: "M3 2.5v11l6-5.5zM10.5 2.5h2.5v11h-2.5z",
  chunk: "M2 2.5v11l5.5-5.5zM8 2.5v11l5.5-5.5z", reset: "M8 3a5 5 0 1 1-4.6 3h1.8A3.3 3.3 0 1 0 8 4.7v2.1L4.4 3.9 8 1z",
  wide: "M2 2h5v1.6H3.6V7H2zM14 14H9v-1.6h3.4V9H14z", back: "M6.5 3v2.5h3a4 4 0 0 1 0 8H6v-1.7h3.5a2.3 2.3 0 0 0 0-4.6h-3V9.8L2.5 6.4z",
  save: "M7.1 2h1.8v6l2-2 1.2 1.2L8 11.3 3.9 7.2 5.1 6l2 2zM2.5 12.5h11V14h-11z",
  dice: "M3 2h10a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1V3a1 1 0 0 1 1-1zm1.5 2v2h2V4zm5 0v2h2V4zM7 7v2h2V7zm-2.5 3v2h2v-2zm5 0v2h2v-2z",
  redo: "M9.5 3v2.5h-3a4 4 0 0 0 0 8h3v-1.7h-3a2.3 2.3 0 0 1 0-4.6h3v2.6l4-3.4z",
  stage: "M1 2h14v8.5h-6.2V12h2.7v1.6h-7V12h2.7v-1.5H1zm1.6 1.6v5.3h10.8V3.6z",
  close: "M4.1 3 8 6.9 11.9 3 13 4.1 9.1 8l3.9 3.9-1.1 1.1L8 9.1 4.1 13 3 11.9 6.9 8 3 4.1z",
  bell: "M8 1.5a4 4 0 0 1 4 4v3l1.5 2.5h-11L4 8.5v-3a4 4 0 0 1 4-4zM6.5 12h3a1.5 1.5 0 0 1-3 0z",
  tour: "M7.2 1.5h1.6V3H13l1.5 1.75L13 6.5H8.8v1H13V11H8.8v3.5H7.2V11H3L1.5 9.25 3 7.5h4.2v-1H3V3h4.2z",
  large: "M3 13 7.2 2.5h1.7L13 13h-2l-1-2.7H6L5 13zm3.6-4.3h2.8L8 4.9z",
};

/** A small picture for a button. @param {keyof typeof PATHS} name */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), path = document.createElementNS(svg.namespaceURI, "path");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", PATHS[name]);
  svg.appendChild(path);
  return svg;
}
