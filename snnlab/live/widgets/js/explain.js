// Everything explains itself: one tooltip for a screen, over whatever carries `data-explain` or was drawn with `explained`;
// and for the keyboard a list of all that a panel explains, behind its button "?".
import { beside } from "./beside.js";
import { pointOf } from "./canvas.js";
import { h } from "./dom.js";

/**
 * @typedef {import("./types").Box} Box
 * @typedef {{ el: HTMLElement, key: string, name: string, box: () => Box }} Found something explained: what it belongs to, and where it is
 */

const DELAY = 450, GRACE = 220; // milliseconds until it shows, and until it hides, so that the pointer can come over to it
const MARGIN = 4;

/** What a thing is called: the key without the part of the screen. @param {string} key */
export const nameOf = (key) => key.slice(key.indexOf(".") + 1);

/** A button that opens the list of all that its panel explains. @param {string} panel */
export const ask = (panel) =>
  askAbout(h("button", { class: "quiet ask", "data-explain": "panel.explain", "aria-haspopup": "dialog", "aria-expanded": "false" }, "?"), panel);

/** The panel shows something else. @param {HTMLButtonElement} button @param {string} panel */
export function askAbout(button, panel) {
  button.setAttribute("aria-label", `explain this panel: ${panel}`);
  return button;
}

/** @param {HTMLCanvasElement} canvas @returns {import("./types").Explained[]} */
const drawnOf = (canvas) => /** @type {import("./types").Pen} */ (canvas.getContext("2d")).explained ?? [];

/** @param {Element} el @returns {Box} */
function boxOf(el) {
  const { left, top, width, height } = el.getBoundingClientRect();
  return { x: left, y: top, width, height };
}

/** A part of a canvas in the pixels of the page. @param {HTMLCanvasElement} canvas @param {Box} box @returns {Box} */
function onPage(canvas, { x, y, width, height }) {
  const { x: left, y: top, width: wide } = boxOf(canvas), zoom = wide / canvas.offsetWidth || 1;
  return { x: left + zoom * x, y: top + zoom * y, width: zoom * width, height: zoom * height };
}

/** @param {HTMLElement} el that has a key @returns {Found} */
const foundOf = (el) => {
  const key = el.dataset.explain ?? "";
  return { el, key, name: el.dataset.name ?? nameOf(key), box: () => boxOf(el) };
};

/** @param {Box} box @param {{ x: number, y: number }} point */
const inside = ({ x, y, width, height }, point) => point.x >= x && point.x <= x + width && point.y >= y && point.y <= y + height;

/** A button that cannot be pressed has no events; its parent has them. @param {Element} parent @param {MouseEvent} event */
const disabledAt = (parent, { clientX, clientY }) =>
  [...parent.querySelectorAll(":scope > :disabled[data-explain]")].find((el) => inside(boxOf(el), { x: clientX, y: clientY }));

/** What is explained where an event happened. @param {MouseEvent} event @returns {Found | null} */
function under(event) {
  const target = event.target;
  if (target instanceof HTMLCanvasElement) {
    const drawn = drawnOf(target).find(({ box }) => inside(box, pointOf(target, event)));
    target.style.cursor = drawn ? "help" : "";
    return drawn ? { el: target, key: drawn.key, name: nameOf(drawn.key), box: () => onPage(target, drawn.box) } : null;
  }
  const el = target instanceof Element ? (disabledAt(target, event) ?? target.closest("[data-explain]")) : null;
  return el instanceof HTMLElement ? foundOf(el) : null;
}

/** Keys of all that is explained inside, in order, each once; what every panel has comes last. @param {HTMLElement} panel */
export function keysIn(panel) {
  const seen = [...panel.querySelectorAll("[data-explain], canvas")].filter((el) => !el.closest("[hidden], [aria-selected=false]"));
  const keys = seen.flatMap((el) => (el instanceof HTMLCanvasElement ? drawnOf(el).map(({ key }) => key) : [/** @type {HTMLElement} */ (el).dataset.explain ?? ""]));
  const common = (/** @type {string} */ key) => Number(key.startsWith("panel."));
  return [...new Set(keys)].sort((a, b) => common(a) - common(b));
}

/** Show or hide an element above everything. @param {HTMLElement} el @param {boolean} wanted */
function raise(el, wanted) {
  el.hidden = !wanted;
  if (wanted) el.showPopover?.();
  else el.hidePopover?.();
}

/**
 * @param {HTMLElement} root the screen
 * @param {Record<string, [sentence: string, equation: string]>} words by key
 * @returns {{ stop: () => void }}
 */
export function makeExplainer(root, words) {
  const id = `tip-${Math.random().toString(36).slice(2)}`, name = h("b"), sentence = h("span"), equation = h("code");
  const tip = h("div", { class: "tip", role: "tooltip", id, popover: "manual", hidden: true }, h("p", {}, name, " ", sentence), equation);
  const list = makeList(root, words);
  /** @type {Found | null} */ let shown = null;
  /** @type {Found | null} */ let next = null; // what the pointer is at
  let pointed = false, focused = false, coming = 0, going = 0; // whether the pointer was used last, and whether it shows what has the focus
  root.append(tip, list.el);

  const room = () => {
    const screen = boxOf(root), { clientWidth, clientHeight } = document.documentElement;
    const x = Math.max(screen.x, 0) + MARGIN, right = Math.min(screen.x + screen.width, clientWidth) - MARGIN;
    const low = screen.height < 200; // a part alone: too low for it
    const y = low ? MARGIN : Math.max(screen.y, 0) + MARGIN, bottom = (low ? clientHeight : Math.min(screen.y + screen.height, clientHeight)) - MARGIN;
    return { x, y, width: right - x, height: bottom - y };
  };
  const put = () => {
    if (shown) move(root, tip, beside(shown.box(), boxOf(tip), room(), ["below", "above", "right", "left"]));
    list.put();
  };
  function hide() {
    clearTimeout(going);
    going = 0;
    shown?.el.removeAttribute("aria-describedby");
    if (shown) raise(tip, false);
    shown = null;
    focused = false;
  }
  /** @param {Found | null} found what the pointer came to */
  function expect(found) {
    clearTimeout(coming);
    next = found;
    if (found && found !== shown) coming = window.setTimeout(() => show(found), DELAY);
  }
  function drop() {
    expect(null);
    hide();
  }
  /** @param {Found} found */
  function show(found) {
    hide();
    const said = words[found.key];
    if (!said) return;
    shown = found;
    [name.textContent, sentence.textContent, equation.textContent] = [found.name, ...said];
    equation.hidden = !said[1];
    found.el.setAttribute("aria-describedby", id);
    raise(tip, true);
    put();
  }
  /** @param {PointerEvent} event */
  function point(event) {
    if (event.pointerType === "touch" || event.buttons) return;
    if (tip.contains(/** @type {Node} */ (event.target))) return stay();
    const found = under(event), same = (/** @type {Found | null} */ other) => other?.el === found?.el && other?.key === found?.key;
    if (shown && same(shown)) return stay();
    if (shown && !going && !focused) going = window.setTimeout(hide, GRACE);
    if (!same(next)) expect(found);
  }
  function stay() {
    clearTimeout(going);
    going = 0;
    expect(shown);
  }
  /** @param {PointerEvent} event */
  const leave = ({ target }) => {
    if (target !== root) return; // of something inside
    expect(null);
    if (shown && !going && !focused) going = window.setTimeout(hide, GRACE);
  };
  /** @param {PointerEvent} event */
  const press = ({ target }) => {
    pointed = true;
    if (!tip.contains(/** @type {Node} */ (target))) drop();
  };
  /** @param {FocusEvent} event */
  const focus = ({ target }) => {
    if (pointed || !(target instanceof HTMLElement) || !target.dataset.explain || !target.matches(":focus-visible")) return;
    expect(null);
    show(foundOf(target));
    focused = true;
  };
  /** @param {KeyboardEvent} event */
  const type = (event) => {
    pointed = false;
    if (event.key !== "Escape" || !(shown || list.open())) return;
    if (shown) drop();
    else list.close();
    event.preventDefault();
    event.stopPropagation();
  };
  /** @type {[EventTarget, string, any][]} */ const heard = [
    [root, "pointermove", point], [root, "pointerleave", leave], [root, "pointerdown", press], [root, "focusin", focus], [root, "focusout", drop],
    [root, "keydown", type], [document, "scroll", put], [window, "resize", put],
  ];
  for (const [target, event, act] of heard) target.addEventListener(event, act, true);
  return { stop: () => { drop(); list.stop(); for (const [target, event, act] of heard) target.removeEventListener(event, act, true); } };
}

/** To a point of the page; in a screen that is enlarged, lengths count more. @param {HTMLElement} root @param {HTMLElement} el @param {{ x: number, y: number }} at */
function move(root, el, { x, y }) {
  const zoom = boxOf(root).width / root.offsetWidth || 1;
  Object.assign(el.style, { left: `${x / zoom}px`, top: `${y / zoom}px` });
}

/**
 * The list of all that a panel explains; its button opens and closes it.
 * @param {HTMLElement} root @param {Record<string, [string, string]>} words
 */
function makeList(root, words) {
  const title = h("h4"), entries = h("dl"), shut = h("button", { class: "quiet", "aria-label": "close", onclick: () => close() }, "\u00d7");
  const el = h("div", { class: "explanations", role: "dialog", popover: "manual", tabindex: 0, hidden: true }, h("div", { class: "heading" }, title, shut), entries);
  /** @type {HTMLElement | null} */ let button = null;
  function close() {
    const from = button, inside = el.contains(document.activeElement);
    button = null;
    from?.setAttribute("aria-expanded", "false");
    raise(el, false);
    if (inside) from?.focus();
  }
  function put() {
    const screen = boxOf(root);
    if (button) move(root, el, beside(boxOf(button), boxOf(el), screen.height < 200 ? { ...screen, height: 1e4 } : screen, ["below", "left", "right", "above"]));
  }
  /** @param {HTMLElement} from */
  function open(from) {
    const panel = /** @type {HTMLElement} */ (from.closest(".panel, .tabs, header") ?? root), about = from.getAttribute("aria-label")?.split(": ")[1] ?? "";
    const row = (/** @type {string} */ key) => [h("dt", {}, nameOf(key)), h("dd", {}, words[key][0], words[key][1] ? h("code", {}, words[key][1]) : null)];
    entries.replaceChildren(...keysIn(panel).filter((key) => key in words && key !== "panel.explain").flatMap(row));
    title.textContent = about;
    el.setAttribute("aria-label", `${about}, explained`);
    button = from;
    from.setAttribute("aria-expanded", "true");
    raise(el, true);
    put();
    el.focus();
  }
  /** @param {MouseEvent} event */
  const click = ({ target }) => {
    const from = target instanceof Element ? target.closest(".ask") : null;
    if (from === button || !(from instanceof HTMLElement)) return void (button && target instanceof Node && !el.contains(target) && close());
    if (button) close();
    open(from);
  };
  root.addEventListener("click", click);
  return { el, put, open: () => button !== null, close, stop: () => { root.removeEventListener("click", click); if (button) close(); } };
}
