// The curves of a run, as a column of small plots that share the axis of steps.
import { drawChart, drawKeys, isTest, keysOf, lookOfCurve, lookOfEarlier, lookOfGhost, movingMean, nearest, titleOf, valuesOf } from "./chart.js";
import { mount, pointOf } from "./canvas.js";
import { readable } from "./numbers.js";
import { TRACK, lastOf, makeScrubber, timesOf } from "./scrubber.js";

/** @typedef {{ title: string, key: string, curves: string[], log?: boolean, share?: boolean }} Wanted with the key of its explanation */

export const [LEFT, RIGHT] = [46, 10];
const AXIS = 20, GAP = 6, LEAST = 34, LOWEST = 26; // a plot, and one above the names of earlier runs

const LOWEST_SCORE = -1; // an R2 may begin at minus one thousand

/** The main plots. @param {import("./types").About} about @returns {Wanted[]} */
export const mainOf = ({ score }) => [
  { title: score.name, key: "curves.score", curves: score.curves, share: score.share }, { title: "loss", key: "curves.loss", curves: ["loss", "test_loss"] },
];

/** @type {Record<string, string>} */
const PARTS = { test: "test", val: "validation" };

/** The others. @param {import("./types").About} about @returns {Wanted[]} */
export function othersOf({ terms, metrics, spiking }) {
  /** @type {Wanted[]} */ const found = [];
  if (terms.length > 1) found.push({ title: "terms of the loss", key: "learn.terms of the loss", curves: terms, log: true });
  if (metrics.length) found.push({ title: "metrics", key: "learn.metrics", curves: metrics });
  if (spiking) found.push({ title: "spikes per sample", key: "learn.spikes per sample", curves: ["spikes_per_sample"] });
  return [...found, { title: "gradient norm", key: "learn.gradient norm", curves: ["grad_norm"], log: true }];
}

/**
 * @param {import("./types").Model} model
 * @param {Wanted[]} wanted
 * @param {boolean} [scrubbed] with the scrubber under them
 * @returns {import("./types").Part}
 */
export function makeCurves(model, wanted, scrubbed = false) {
  const el = document.createElement("div"), below = scrubbed ? TRACK : 0;
  el.classList.toggle("scrubbed", scrubbed);
  /** @type {number | null} */ let cursor = null;
  const titles = wanted.map(({ curves }) => titleOf(curves.length)), fixed = titles.reduce((a, b) => a + b + GAP, 0) + AXIS + below - GAP;
  const names = () => /** @type {string[]} */ (model.get("curves").earlier ?? []), legend = () => keysTo(model, names());
  const keys = (/** @type {number} */ width) => keysOf(legend().map(({ name }) => name), width - 12).height;
  const least = () => (legend().length || scrubbed ? LOWEST : LEAST);
  const rows = (/** @type {number} */ width, /** @type {number} */ height) => {
    const tall = Math.max(least(), (height - fixed - keys(width)) / wanted.length);
    let y = 0;
    return titles.map((title) => {
      y += title;
      const row = { y, height: tall };
      y += tall + GAP;
      return row;
    });
  };
  const { canvas, redraw, stop } = mount(el, {
    role: "img",
    arrange: (width) => wanted.length * least() + fixed + keys(width),
    label: () => model.get("curves").words ?? "Curves: nothing yet.",
    paint: (pen, width, height) => {
      const plots = plotsOf(model, wanted), { low, high } = rangeOf(model, plots), marks = model.get("curves").marks ?? [];
      const places = rows(width, height), { y, height: tall } = places[places.length - 1];
      drawKeys(pen, legend(), { x: 6, y: y + tall + below + AXIS, width: width - 12, height: 0 });
      const boxes = places.map((row) => ({ x: LEFT, width: width - LEFT - RIGHT, ...row }));
      const track = { x: LEFT, y: y + tall, width: width - LEFT - RIGHT, height: TRACK }, covered = scrubber?.covered(pen, track, { low, high }) ?? null;
      boxes.forEach((place, k) => {
        drawChart(pen, place, plots[k], { low, high, marks, cursor, last: k === wanted.length - 1, below, covered });
      });
      scrubber?.paint(pen, track, { low, high }, boxes);
    },
  });
  canvas.addEventListener("pointermove", (event) => {
    const plots = plotsOf(model, wanted), { low, high } = rangeOf(model, plots), point = pointOf(canvas, event);
    const share = (point.x - LEFT) / (canvas.clientWidth - LEFT - RIGHT);
    cursor = share >= 0 && share <= 1 ? low + share * (high - low) : null;
    const under = rows(canvas.clientWidth, canvas.clientHeight).findIndex(({ y, height }) => point.y <= y + height + GAP);
    canvas.title = cursor === null || !names().length ? "" : wordsAt(plots[Math.max(0, under)], names(), cursor);
    redraw();
  });
  canvas.addEventListener("pointerleave", () => { cursor = null; redraw(); });
  const scrubber = scrubbed ? makeScrubber(model, redraw) : null;
  if (scrubber) el.append(scrubber.el);
  const events = ["change:curves", "change:earlier", "change:ghosts", "change:times", "change:ui"];
  for (const event of events) model.on(event, redraw);
  return { el, stop: () => { stop(); scrubber?.stop(); for (const event of events) model.off(event, redraw); } };
}

/**
 * The step under the cursor, and what the earlier runs had reached there.
 * @param {import("./chart.js").Plot} plot @param {string[]} names @param {number} step
 */
export function wordsAt({ title, earlier }, names, step) {
  const said = earlier.map(({ x, y }, k) => {
    const there = x.length && step <= x[x.length - 1];
    return `${names[k]}${there ? `; ${title} here ${readable(y[nearest(x, step)])}` : "; over by here"}`;
  });
  return [`step ${readable(Math.round(step), 7)}`, ...said].join("\n");
}

/** @param {import("./types").Model} model @param {Wanted[]} wanted @returns {import("./chart.js").Plot[]} */
function plotsOf(model, wanted) {
  const { now = {} } = model.get("curves"), earlier = model.get("earlier"), { terms, metrics, part, explained: known } = model.get("about"), { smooth, log } = model.get("ui");
  return wanted.map(({ title, key, curves, log: always, share }, k) => ({
    title,
    key,
    share: Boolean(share),
    least: key === "curves.score" && !share ? LOWEST_SCORE : -Infinity,
    log: Boolean(always || (log && title === "loss")),
    first: k === 0,
    earlier: earlier.map((/** @type {any} */ run) => valuesOf(run[curves[0]])),
    ghosts: ghostsOf(model).map(({ name, number, curves: own }) => {
      const values = valuesOf(own[curves[0]]);
      return { name, number, values: smooth ? movingMean(values) : values };
    }),
    series: curves.map((wantedName) => {
      const name = wantedName.replace(/^test_/, `${part}_`), test = isTest(name), values = valuesOf(now[name]), one = curves.length === 1;
      const group = title === "metrics" ? metrics : title.startsWith("terms") ? terms : [];
      const label = group.length ? name.replace(/^metric /, "").replaceAll("_", " ") : one ? "" : test ? PARTS[part] : "train";
      const [colour, dash] = lookOfCurve(name, group.indexOf(name));
      const own = group !== terms ? "" : `term.${name}` in known ? `term.${name}` : "term.own";
      return { name, label, colour, dash, test, key: own, values: smooth && !test ? movingMean(values) : values };
    }),
  }));
}

/** @param {import("./types").Model} model @returns {import("./types").GhostFrame[]} */
const ghostsOf = (model) => model.get("ghosts") ?? [];

/**
 * The legend: which line is which earlier run, and which other branch.
 * @param {import("./types").Model} model @param {string[]} names of the earlier runs
 */
function keysTo(model, names) {
  const here = timesOf(model)?.here, others = ghostsOf(model).map(({ name, number }) => ({ name: name === here ? `${name}, later` : name, look: lookOfGhost(number) }));
  return [...others, ...names.map((name, k) => ({ name, look: lookOfEarlier(k) }))];
}

/** The steps that are seen. @param {import("./types").Model} model @param {import("./chart.js").Plot[]} plots */
function rangeOf(model, plots) {
  const last = lastOf(timesOf(model));
  const { range } = model.get("curves");
  if (range) return { low: range[0], high: range[1] };
  const ends = plots.flatMap(({ series }) => series.map(({ values: { x } }) => x[x.length - 1] ?? 0));
  return { low: 0, high: Math.max(10, last, ...ends) };
}
