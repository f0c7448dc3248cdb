// The scrubber: the time line of the run under its curves, over the same axis of steps. A drag shows the run as it was.
import { h } from "./dom.js";
import { ORANGE, VERMILION, dot, explained, fill, intsOf, line, text } from "./draw.js";
import { readable } from "./numbers.js";
import { STYLE } from "./style.js";

/** @typedef {import("./types").Model} Model @typedef {import("./types").Pen} Pen @typedef {import("./types").Box} Box */
/** @typedef {import("./types").Times} Times @typedef {import("./types").Lane} Lane @typedef {{ low: number, high: number }} Range the steps that are seen */

export const TRACK = 22; // pixels: height of the track with its margins, between the plots and the numbers of their axis
const TALL = 14, APART = 14; // of the track itself; between two diamonds, at least
const EVERY = 50, PATIENCE = 3000; // milliseconds: between two wishes of a drag; until the kernel has the last word

/** What the kernel knows of the branches, or null. @param {Model} model @returns {Times | null} */
export const timesOf = (model) => (model.get("times")?.lanes ? model.get("times") : null);

/** The look of a branch, here and in curves and lanes. @param {number} number */
export function lookOfBranch(number) {
  const [colour, dash] = STYLE.branches[number % STYLE.branches.length];
  return { colour, dash };
}

/** The last step of all branches. @param {Times | null} times */
export const lastOf = (times) => (times ? Math.max(0, ...times.lanes.map(({ end }) => end)) : 0);

/** The whole step under a place, of those that the branch has. @param {number} x @param {Box} place @param {Range} range @param {number} tip */
export function stepAt(x, { x: left, width }, { low, high }, tip) {
  const step = Math.round(low + ((x - left) / (width || 1)) * (high - low));
  return Math.min(Math.max(step, Math.ceil(low), 0), Math.min(Math.floor(high), tip));
}

/** @param {number} step @param {Box} place @param {Range} range */
export const placeOf = (step, { x, width }, { low, high }) => x + ((step - low) / (high - low || 1)) * width;

/**
 * Where a key takes the run: a step, "now", or null for a key that is none of the scrubber's.
 * @param {{ key: string, shiftKey: boolean }} event @param {number} step where it is
 * @param {{ tip: number, kept: ArrayLike<number>, perEpoch: number }} branch
 */
export function targetOf({ key, shiftKey }, step, { tip, kept, perEpoch }) {
  const turn = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -1, PageUp: 1 }[key] ?? 0;
  if (key === "Escape") return "now";
  if (key === "Home") return 0;
  if (key === "End") return tip;
  if (!turn) return null;
  const within = (/** @type {number} */ to) => Math.min(Math.max(to, 0), tip);
  if (shiftKey || key.startsWith("Page")) return within(turn < 0 ? (Math.ceil(step / perEpoch) - 1) * perEpoch : (Math.floor(step / perEpoch) + 1) * perEpoch);
  if (key === "ArrowUp" || key === "ArrowDown") return within(step + turn);
  const stops = [0, ...Array.from(kept), tip];
  return turn < 0 ? Math.max(0, ...stops.filter((stop) => stop < step)) : Math.min(tip, ...stops.filter((stop) => stop > step));
}

/** Those of some places that are far enough from the last one that was taken. @param {number[]} places ascending @param {number} apart */
export function spaced(places, apart) {
  let last = -Infinity;
  return places.filter((x) => {
    if (x - last < apart) return false;
    last = x;
    return true;
  });
}

/** @param {Pen} pen @param {number} x @param {number} y @param {number} r @param {string} colour */
export function diamondAt(pen, x, y, r, colour) {
  pen.fillStyle = colour;
  pen.beginPath();
  for (const [dx, dy] of [[0, -r], [r, 0], [0, r], [-r, 0]]) pen.lineTo(x + dx, y + dy);
  pen.fill();
}

/** A star with five points. @param {Pen} pen @param {number} x @param {number} y @param {number} r */
export function star(pen, x, y, r) {
  pen.beginPath();
  for (let k = 0; k < 10; k++) {
    const angle = (k * Math.PI) / 5 - Math.PI / 2, far = k % 2 ? 0.45 * r : r;
    pen.lineTo(x + far * Math.cos(angle), y + far * Math.sin(angle));
  }
  pen.fillStyle = ORANGE;
  pen.fill();
  Object.assign(pen, { strokeStyle: pen.theme.ink, lineWidth: 0.8, lineJoin: "round" });
  for (let k = 0; k < 10; k++) {
    const [a, b] = [k, k + 1].map((n) => [(n * Math.PI) / 5 - Math.PI / 2, n % 2 ? 0.45 * r : r]);
    line(pen, [a, b].map(([angle, far]) => [x + far * Math.cos(angle), y + far * Math.sin(angle)]), { width: 0.8 });
  }
}

/**
 * What happened on a branch, as marks on its track or lane.
 * @param {Pen} pen @param {Lane[]} line_ the branch, and those that it comes from, each with the last step that counts
 * @param {{ y: number, tall: number, at: (step: number) => number, seen: (x: number) => boolean, apart: number }} how
 */
export function drawEvents(pen, line_, { y, tall, at, seen, apart }) {
  const { ink, paper } = pen.theme, all = (/** @type {"moves" | "epochs"} */ name) =>
    line_.flatMap((lane) => Array.from(intsOf(lane[name])).filter((step) => step <= lane.end)).map(at).filter(seen).sort((a, b) => a - b);
  for (const x of spaced(all("moves"), 2)) fill(pen, x - 0.75, y - tall / 2, 1.5, tall, { colour: VERMILION });
  for (const x of spaced(all("epochs"), apart)) {
    diamondAt(pen, x, y, 4.2, ink);
    diamondAt(pen, x, y, 2.6, paper);
  }
}

/** The branch that is shown and those that it comes from, each up to where the next one left. @param {Times} times @returns {Lane[]} */
export function lineOf(times) {
  /** @type {Lane[]} */ const found = [];
  let lane = times.lanes.find(({ name }) => name === times.here), end = Infinity;
  while (lane) {
    found.unshift({ ...lane, end: Math.min(lane.end, end) });
    const { parent, start } = lane;
    end = start;
    lane = times.lanes.find(({ name }) => name === parent);
  }
  return found;
}

/**
 * @param {Model} model
 * @param {() => void} redraw
 * @returns {import("./types").Part & { paint: (pen: Pen, place: Box, range: Range, plots: Box[]) => void, covered: (pen: Pen, place: Box, range: Range) => [number, number] | null }}
 */
export function makeScrubber(model, redraw) {
  /** @type {number | null} */ let wish = null; // where the hand is, until the run is there
  /** @type {number | null} */ let hover = null;
  let dragging = false, sent = 0, later = 0, forgetting = 0;
  /** @type {{ place: Box, range: Range }} */ let now = { place: { x: 0, y: 0, width: 1, height: TRACK }, range: { low: 0, high: 1 } };
  const tip = () => timesOf(model)?.tip ?? 0, here = () => wish ?? timesOf(model)?.step ?? 0;
  const say = (/** @type {string} */ name, /** @type {unknown} */ value) => model.send({ ask: [name, value] });
  const el = h("div", {
    class: "scrubber", role: "slider", tabindex: 0, "aria-label": "time of the run", "aria-valuemin": 0, "data-explain": "time.scrubber",
    onpointerdown: (/** @type {PointerEvent} */ event) => {
      if (event.button || !tip()) return;
      el.setPointerCapture(event.pointerId);
      dragging = true;
      drag(event);
    },
    onpointermove: (/** @type {PointerEvent} */ event) => {
      hover = under(event);
      if (dragging) drag(event);
      else redraw();
    },
    onpointerleave: () => { hover = null; redraw(); },
    onpointerup: () => drop(),
    onpointercancel: () => drop(),
    onkeydown: (/** @type {KeyboardEvent} */ event) => press(event),
  });

  /** @param {PointerEvent} event */
  function under({ clientX }) {
    const box = el.getBoundingClientRect(), zoom = box.width / el.offsetWidth || 1, x = (clientX - box.left) / zoom + el.offsetLeft;
    return stepAt(x, now.place, now.range, tip());
  }
  /** @param {PointerEvent} event */
  function drag(event) {
    want(under(event));
    clearTimeout(later);
    const wait = sent + EVERY - performance.now(), send = () => { sent = performance.now(); say("glance", wish); };
    if (wait <= 0) send();
    else later = window.setTimeout(send, wait);
    event.preventDefault();
    el.focus({ preventScroll: true });
  }
  function drop() {
    if (!dragging) return;
    dragging = false;
    clearTimeout(later);
    go(/** @type {number} */ (wish));
  }
  /** @param {number} step */
  function want(step) {
    wish = step;
    forget();
    show();
  }
  /** The kernel has the last word, as soon as nothing is on its way. */
  function forget() {
    clearTimeout(forgetting);
    forgetting = window.setTimeout(() => { if (!dragging) { wish = null; show(); } }, PATIENCE);
  }
  /** @param {number} step */
  function go(step) {
    want(step);
    if (step === tip()) model.send({ do: "now" });
    else say("rewind", step);
  }
  /** @param {KeyboardEvent} event */
  function press(event) {
    const times = timesOf(model);
    if (!times || event.ctrlKey || event.altKey || event.metaKey) return;
    const target = targetOf(event, here(), { tip: times.tip, kept: intsOf(times.kept), perEpoch: times.per_epoch });
    if (target === null) return;
    if (target === "now" || target === times.tip) {
      want(times.tip);
      model.send({ do: "now" });
    } else go(target);
    event.preventDefault();
    event.stopPropagation();
  }

  function show() {
    const times = timesOf(model), step = here(), end = tip();
    if (wish !== null && !dragging && times?.step === wish) wish = null;
    el.setAttribute("aria-valuemax", String(end));
    el.setAttribute("aria-valuenow", String(Math.min(step, end)));
    el.setAttribute("aria-disabled", String(!end));
    const behind = step < end ? ` of ${end.toLocaleString("en")}, an earlier moment` : "";
    el.setAttribute("aria-valuetext", `step ${step.toLocaleString("en")}${behind}, branch ${times?.here ?? "a"}`);
    redraw();
  }
  const told = () => {
    if (wish !== null) forget();
    show();
  };

  const away = () => wish !== null || Boolean(timesOf(model)?.behind);
  /** The step that is written on the axis, or null. */
  const named = () => (tip() ? (hover ?? wish ?? (away() ? here() : null)) : null);
  /** Where that covers the axis. @param {Pen} pen @param {Box} place @param {Range} range @returns {[number, number] | null} */
  function covered(pen, place, range) {
    const step = named();
    if (step === null) return null;
    const { left, wide } = labelOf(pen, place, range, step);
    return [left, left + wide];
  }
  /** @param {Pen} pen @param {Box} place of the track @param {Range} range @param {Box[]} plots */
  function paint(pen, place, range, plots) {
    now = { place, range };
    Object.assign(el.style, { left: `${place.x - 8}px`, top: `${place.y}px`, width: `${place.width + 16}px`, height: `${place.height + 17}px` });
    const times = timesOf(model);
    if (times) drawTrack(pen, place, range, times, here());
    if (!times || !tip()) return;
    drawHead(pen, place, range, here(), away() ? plots : null);
    const step = named();
    if (step !== null) drawLabel(pen, place, range, step);
  }
  show();
  model.on("change:times", told);
  return { el, paint, covered, stop: () => { model.off("change:times", told); clearTimeout(later); clearTimeout(forgetting); } };
}

/** @param {Pen} pen @param {Box} place @param {Range} range @param {Times} times @param {number} step */
function drawTrack(pen, place, range, times, step) {
  const { x, width } = place, y = place.y + 4 + TALL / 2, ends = (/** @type {number} */ at) => Math.min(Math.max(at, x), x + width);
  const at = (/** @type {number} */ of) => placeOf(of, place, range), seen = (/** @type {number} */ px) => px >= x - 0.5 && px <= x + width + 0.5;
  const lanes = lineOf(times), [own] = lanes.slice(-1), { colour, dash } = lookOfBranch(own?.number ?? 0), from = ends(at(0));
  rounded(pen, { x: x - 1, y: y - TALL / 2, width: width + 2, height: TALL }, { alpha: 0.09 });
  if (times.tip > range.low) {
    rounded(pen, { x: from - 1, y: y - TALL / 2, width: ends(at(times.tip)) - from + 2, height: TALL }, { colour, alpha: 0.28 });
    if (step > range.low) rounded(pen, { x: from - 1, y: y - TALL / 2, width: ends(at(step)) - from + 2, height: TALL }, { colour, alpha: 0.4 });
  }
  for (const px of spaced(Array.from(intsOf(times.kept)).map(at).filter(seen), 3)) fill(pen, px - 0.5, y + TALL / 2 - 2, 1, 2, { alpha: 0.45 });
  drawEvents(pen, lanes, { y, tall: TALL, at, seen, apart: APART });
  if (times.best !== null && seen(at(times.best))) star(pen, at(times.best), y, 6);
  for (const lane of times.lanes)
    if (lanes.some(({ name, end }) => name === lane.parent && lane.start <= end) && lane.name !== times.here && seen(at(lane.start))) {
      dot(pen, at(lane.start), y - TALL / 2, pen.theme.paper);
      pen.beginPath();
      pen.arc(at(lane.start), y - TALL / 2, 3, 0, 2 * Math.PI);
      pen.fillStyle = lookOfBranch(lane.number).colour;
      pen.fill();
    }
  if (times.lanes.length > 1) {
    line(pen, [[4, y], [22, y]], { colour, dash, width: 2.5 });
    text(pen, times.here, 26, y + 4, { size: 11, bold: true, room: x - 30 });
  }
  for (const key of ["time.kept", "time.moves", "time.epochs", "time.best", "time.branches", "time.ghosts"]) explained(pen, key, { ...place, height: 0 }, 1);
}

/**
 * Where the run is; what is not the end of the branch has a line over the plots.
 * @param {Pen} pen @param {Box} place @param {Range} range @param {number} step @param {Box[] | null} plots
 */
function drawHead(pen, place, range, step, plots) {
  const { x, y, width } = place, { ink, paper } = pen.theme, px = Math.min(Math.max(placeOf(step, place, range), x), x + width);
  for (const plot of plots ?? []) line(pen, [[px, plot.y], [px, plot.y + plot.height]], { colour: VERMILION, width: 1.5 });
  rounded(pen, { x: px - 5.5, y: y + 1, width: 11, height: TALL + 6 }, { colour: paper });
  rounded(pen, { x: px - 4, y: y + 2.5, width: 8, height: TALL + 3 }, { colour: plots ? VERMILION : ink });
  fill(pen, px - 0.5, y + 7, 1, TALL - 6, { colour: paper });
}

/** @param {Pen} pen @param {Box} place @param {Range} range @param {number} step */
function labelOf(pen, place, range, step) {
  const words = `step ${readable(step, 7)}`;
  pen.font = `600 11px ${pen.theme.font}`;
  const wide = pen.measureText(words).width + 10, at = placeOf(step, place, range);
  return { words, wide, left: Math.min(Math.max(at - wide / 2, place.x - 6), place.x + place.width + 8 - wide) };
}

/** A step, on the axis. @param {Pen} pen @param {Box} place @param {Range} range @param {number} step */
function drawLabel(pen, place, range, step) {
  const { words, wide, left } = labelOf(pen, place, range, step), y = place.y + TRACK + 1, { ink, paper } = pen.theme;
  rounded(pen, { x: left, y, width: wide, height: 16 }, { colour: ink });
  text(pen, words, left + 5, y + 12, { size: 11, bold: true, colour: paper });
}

/** A box with round corners. @param {Pen} pen @param {Box} box @param {{ colour?: string, alpha?: number }} [look] */
export function rounded(pen, { x, y, width, height }, { colour, alpha = 1 } = {}) {
  const r = Math.max(0, Math.min(3, width / 2, height / 2));
  pen.globalAlpha = alpha;
  pen.fillStyle = colour || pen.theme.ink;
  pen.beginPath();
  for (const [cx, cy, from] of [[x + width - r, y + r, -0.5], [x + width - r, y + height - r, 0], [x + r, y + height - r, 0.5], [x + r, y + r, 1]])
    for (let k = 0; k <= 3; k++) pen.lineTo(cx + r * Math.cos(Math.PI * (from + k / 6)), cy + r * Math.sin(Math.PI * (from + k / 6)));
  pen.fill();
  pen.globalAlpha = 1;
}
