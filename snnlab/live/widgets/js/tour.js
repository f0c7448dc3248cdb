// The guided tour: a card that stands beside what it speaks of, opens tabs and moves knobs itself. It blocks nothing.
import { beside } from "./beside.js";
import { h } from "./dom.js";
import { set } from "./fields.js";

/** @typedef {import("./types").Box} Box @typedef {import("./types").Stop} Stop @typedef {import("./types").Knob} Knob */

const MOVE = 1500, EVERY = 50; // milliseconds: how long a knob is on its way, and from one value to the next
const LOOK = 900, LONGEST = 3000; // milliseconds to look before it moves: also until the raster shows no other trial
const PARTS = { head: "header", curves: ".panel.main", raster: ".panel.raster", voltages: ".voltages", tabs: ".tabs" };

/**
 * Where a knob is at a share of its way; slow at the beginning and at the end.
 * @param {number} from @param {number} to @param {boolean} log @param {number} share 0 to 1
 */
export function along(from, to, log, share) {
  if (share >= 1) return to;
  const eased = share * share * (3 - 2 * share);
  return log && from > 0 && to > 0 ? from * (to / from) ** eased : from + (to - from) * eased;
}

const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** The stop that the page's state tells of, or -1. @param {any} kept @param {number} count */
export const stopOf = (kept, count) => (/^\d+$/.test(String(kept)) && +kept < count ? +kept : -1);

/**
 * Which stop is shown stands in the page's state, so that a page which is loaded again shows it again. The kernel shows
 * what a moved knob would do, and trains with none of it: whatever becomes of the page, the run stays as it is.
 * @param {import("./types").Model} model
 * @param {HTMLElement} root the screen
 * @param {import("./types").Trial} knobs
 * @param {{ grab: () => void, forget: () => void }} hold keeps the former raster in sight
 * @returns {{ show: () => void, toggle: () => void, open: () => boolean, stop: () => void }}
 */
export function makeTour(model, root, knobs, hold) {
  const { tour: stops, knobs: known } = /** @type {import("./types").About} */ (model.get("about"));
  const id = `tour-${Math.random().toString(36).slice(2)}`, title = h("h4", { id }), count = h("span", { class: "count" });
  const words = h("p", { "aria-live": "polite", id: `${id}-words` });
  const button = (/** @type {string} */ label, /** @type {() => void} */ onclick) => h("button", { class: "small", onclick }, label);
  const back = button("Back", () => enter(at - 1)), next = button("Next", () => enter(at + 1)), end = button("End", () => leave());
  next.classList.add("primary");
  const card = h("section", { class: "tour", role: "dialog", "aria-labelledby": id, "aria-describedby": `${id}-words`, tabindex: -1, hidden: true, onkeydown: press },
    title, words, h("div", { class: "fields" }, count, back, next, end));
  root.append(card);
  let at = -1, timer = 0, trying = false;
  /** @type {Element | null} */ let from = null; // had the focus before

  /** @param {string} name of a part or a knob */
  const partOf = (name) => {
    const knob = [...root.querySelectorAll("[data-knob]")].find((el) => /** @type {HTMLElement} */ (el).dataset.knob === name);
    return /** @type {HTMLElement | null} */ (knob ?? root.querySelector(/** @type {Record<string, string>} */ (PARTS)[name] ?? ".none"));
  };

  /** @param {KeyboardEvent} event */
  function press(event) {
    const by = event.key === "ArrowRight" || (event.key === "Enter" && event.target === card) ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (event.key === "Escape") leave();
    else if (by) enter(at + by);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
  /** Go to a stop, and do there what it speaks of. @param {number} wanted */
  function enter(wanted) {
    if (wanted < 0) return;
    if (wanted >= stops.length) return leave();
    putBack();
    const { tab, press: start, move: shown } = stops[wanted];
    if (at < 0) from = document.activeElement;
    at = wanted;
    set(model, { tour: String(at), ...(tab && { tab }) });
    if (start && model.get("run").state === "idle") model.send({ do: "transport" });
    draw();
    for (const el of [partOf(stops[at].at[0]), card]) el?.scrollIntoView({ block: "nearest" });
    next.focus({ preventScroll: true });
    if (shown) move(shown.knob, shown.value);
  }
  function leave() {
    putBack();
    at = -1;
    set(model, { tour: "" });
    draw();
    if (from instanceof HTMLElement) from.focus({ preventScroll: true });
    from = null;
  }
  /** Move a knob as a hand would, but only to show what that does. @param {string} name @param {number} to */
  function move(name, to) {
    const knob = known.find((one) => one.name === name), came = performance.now();
    if (!knob) return;
    let first = NaN, began = 0;
    const step = () => {
      const share = still() ? 1 : Math.min(1, (performance.now() - began) / MOVE);
      knobs.tryOut(name, along(first, to, knob.log, share));
      if (share < 1) timer = window.setTimeout(step, EVERY);
    };
    const begin = () => {
      if (model.get("frame").preview && performance.now() - came < LONGEST) return void (timer = window.setTimeout(begin, EVERY));
      [first, began, trying] = [knobs.now(name), performance.now(), true];
      hold.grab();
      step();
    };
    timer = window.setTimeout(begin, LOOK);
  }
  function putBack() {
    clearTimeout(timer);
    if (!stops[at]?.move) return;
    knobs.stopTrying();
    if (trying) hold.forget();
    trying = false;
  }

  function draw() {
    const here = stops[at], seen = here ? here.at.map(partOf).filter((el) => el !== null) : [];
    for (const el of root.querySelectorAll(".toured")) if (!seen.includes(/** @type {HTMLElement} */ (el))) el.classList.remove("toured");
    for (const el of seen) el.classList.add("toured");
    card.hidden = !here;
    if (!here) return;
    [title.textContent, words.textContent, count.textContent] = [here.title, here.words, `${at + 1} of ${stops.length}`];
    back.disabled = at === 0;
    next.textContent = at === stops.length - 1 ? "Done" : "Next";
    end.hidden = at === stops.length - 1;
    put(seen);
  }
  /** Beside what it speaks of, over nothing that one has to see. @param {HTMLElement[]} seen */
  function put(seen) {
    if (!seen.length) return;
    const screen = root.getBoundingClientRect(), zoom = screen.width / root.offsetWidth || 1;
    const boxOf = (/** @type {HTMLElement} */ el) => {
      const { left, top, width, height } = el.getBoundingClientRect();
      return { x: (left - screen.left) / zoom, y: (top - screen.top) / zoom, width: width / zoom, height: height / zoom };
    };
    const boxes = seen.map(boxOf), room = { x: 8, y: 8, width: root.clientWidth - 16, height: root.clientHeight - 16 };
    const size = { width: card.offsetWidth, height: card.offsetHeight };
    const main = stops[at].move && partOf("curves"), kept = [...boxes, ...(main ? [boxOf(main)] : [])];
    const knob = seen[0].dataset.knob !== undefined, watched = knob && boxes.length > 2; // then one looks at what it does
    const { x, y } = beside(boxes[watched ? 1 : 0], size, room, knob && !watched ? ["below", "right", "above"] : ["right", "below", "above", "left"], kept);
    Object.assign(card.style, { left: `${x}px`, top: `${y}px` });
  }
  const moved = new ResizeObserver(() => at >= 0 && draw());
  moved.observe(root);
  return {
    /** As the page's state says: it was loaded again, or another page of the dashboard is on the tour. */
    show() {
      const now = stopOf(model.get("ui").tour, stops.length);
      if (now === at) return;
      clearTimeout(timer);
      if (now < 0 && stops[at].move) knobs.stopTrying(); // it ended elsewhere
      if (trying) hold.forget();
      trying = false;
      at = now;
      draw();
    },
    toggle: () => (at < 0 ? enter(0) : leave()),
    open: () => at >= 0,
    stop: () => { clearTimeout(timer); moved.disconnect(); },
  };
}
