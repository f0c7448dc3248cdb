// What a sample shall say and what the network says of it, where a sample has not one label: over the readout, and beside it.
import { BLUE, ORANGE, VERMILION, axisBeside, bitOf, box, bytesOf, explained, fill, floatsOf, intsOf, line, lookOf, scale, spikeMarks, text, within } from "./draw.js";
import { columnsOf } from "./timeline.js";
import { STYLE } from "./style.js";

/**
 * @typedef {import("./types").Pen} Pen @typedef {import("./types").Box} Box @typedef {import("./types").Scene} Scene
 * @typedef {import("./types").Frame} Frame @typedef {import("./types").Moment} Moment @typedef {import("./types").Point} Point
 */

const STRIP = 14, BETWEEN = 2; // height of a strip of classes, and between two of them
/** Height of the two strips, and of the line below them that says where they differ. */
export const STRIPS = 2 * (STRIP + BETWEEN) + 8;
const MARKS = { found: "✓ ", missed: "○ ", wrong: "✗ " };

/** Whether the readout has numbers, and so an axis in the unit of the targets. @param {string} task */
export const isNumbers = (task) => task === "values" || task === "traces";

/** One letter for each class, if they differ; else its number. @param {string[]} names */
export function lettersOf(names) {
  const first = names.map((name) => [...name][0] ?? "");
  return new Set(first).size === first.length ? first : names.map((_, k) => String(k));
}

/** Neighbours that are alike, as one run each. @param {ArrayLike<number>} classes @returns {{ k: number, from: number, to: number }[]} */
export function runsOf(classes) {
  /** @type {{ k: number, from: number, to: number }[]} */ const runs = [];
  for (let t = 0; t < classes.length; t++) {
    const last = runs[runs.length - 1];
    if (last && last.k === classes[t]) last.to = t + 1;
    else runs.push({ k: classes[t], from: t, to: t + 1 });
  }
  return runs;
}

/** What became of a class of several, as a sign before its name. @param {import("./types").Target | null} target @param {number} k */
export function markOf(target, k) {
  if (target?.kind !== "several_labels") return "";
  const there = target.true.includes(k), said = target.said.includes(k);
  return there ? (said ? MARKS.found : MARKS.missed) : said ? MARKS.wrong : "";
}

/** Slanted lines: nothing is scored here. @param {Pen} pen @param {Box} place */
function hatch(pen, place) {
  const { x, y, width, height } = place;
  within(pen, { x, y: y + 1, width, height: height - 2 }, () => {
    for (let left = x - height; left < x + width; left += 6) line(pen, [[left, y + height], [left + height, y]], { alpha: 0.35 });
  });
}

/**
 * The true class of every step over the predicted one, and below them where they differ.
 * @param {Pen} pen @param {Scene} scene @param {import("./types").StepLabels} target @param {Box} place of the readout
 * @param {Moment | null} moment up to which the prediction is shown
 */
export function drawStrips(pen, scene, target, place, moment) {
  const truth = intsOf(target.truth), said = intsOf(target.said), names = scene.short, letters = lettersOf(names);
  const dx = (place.width * scene.cell) / scene.steps;
  explained(pen, "raster.true and predicted", { ...place, height: STRIPS }, 0);
  const strip = (/** @type {Int32Array} */ classes, /** @type {number} */ row, /** @type {string} */ title, /** @type {number} */ until) => {
    const y = place.y + 2 + row * (STRIP + BETWEEN);
    for (const { k, from, to } of runsOf(classes.subarray(0, until))) {
      const x = place.x + from * dx, width = Math.min(to * dx, place.width) - from * dx;
      if (k < 0) { hatch(pen, { x, y, width, height: STRIP }); continue; }
      fill(pen, x, y, width, STRIP, { colour: lookOf(k).colour, alpha: 0.5 });
      pen.font = `11px ${pen.theme.font}`;
      const whole = pen.measureText(names[k]).width + 4 <= width, words = whole ? names[k] : letters[k];
      if (whole || pen.measureText(words).width + 1 <= width) text(pen, words, x + width / 2, y + STRIP - 3, { align: "center", size: 11 });
    }
    text(pen, title, place.x - 5, y + STRIP - 3, { align: "right", size: 11 });
  };
  const until = moment ? moment.column : said.length;
  strip(truth, 0, "true", truth.length);
  strip(said, 1, "says", until);
  const wrong = Array.from(truth, (k, t) => (k >= 0 && t < until && k !== said[t] ? 1 : 0));
  const y = place.y + 2 + 2 * (STRIP + BETWEEN);
  for (const { k, from, to } of runsOf(wrong)) if (k) fill(pen, place.x + from * dx, y, Math.min(to * dx, place.width) - from * dx, 3, { colour: VERMILION });
}

/** Values that the axis of the readout must reach, too. @param {Frame} frame @returns {number[]} */
export function targetsIn({ target }) {
  if (target?.kind === "values") return [...target.targets, ...target.said.filter((value) => value !== null)];
  return target?.kind === "traces" ? [...floatsOf(target.values)].filter(Number.isFinite) : [];
}

/** The line of a target: in the colour of its output, or in that of the words if there is one output only. @param {number} k @param {number} count */
export const lookOfTarget = (k, count) => ({ colour: count > 1 ? lookOf(k).colour : undefined, dash: STYLE.threshold, width: 1.6 });

/**
 * The targets of the outputs, dashed; of values also the number that is read out, dotted.
 * @param {Pen} pen @param {Frame} frame @param {Box} place @param {number[]} x of the points @param {(value: number) => number} at
 */
export function drawTargets(pen, { target, shown }, place, x, at) {
  const right = place.x + place.width, count = shown.length;
  within(pen, place, () => shown.forEach((k, c) => {
    const look = lookOfTarget(k, count);
    if (target?.kind === "values") {
      line(pen, [[place.x, at(target.targets[c])], [right, at(target.targets[c])]], look);
      const said = target.said[c];
      if (said !== null) line(pen, [[place.x, at(said)], [right, at(said)]], { colour: lookOf(k).colour, dash: [1, 3], width: 2 });
    } else if (target?.kind === "traces") {
      const values = floatsOf(target.values);
      line(pen, x.map((px, t) => /** @type {Point} */ ([px, at(values[t * count + c])])), look);
    }
  }));
}

/**
 * Spike trains: two rows for each output, those wanted over those fired.
 * @param {Pen} pen @param {Scene} scene @param {import("./types").Trains} target @param {Box} place @param {number[]} shown @param {Moment | null} moment
 */
export function drawTrains(pen, scene, { outputs, wanted, fired }, place, shown, moment) {
  const columns = columnsOf(scene), tall = place.height / outputs, half = Math.max((tall - 4) / 2, 2);
  const of = (/** @type {DataView} */ view, /** @type {number} */ n) => {
    const bytes = bytesOf(view), one = new Uint8Array(Math.ceil(columns / 8));
    for (let t = 0; t < columns; t++) if (bitOf(bytes, t * outputs + n)) one[t >> 3] |= 128 >> (t & 7);
    return new DataView(one.buffer);
  };
  for (let n = 0; n < outputs; n++) {
    const y = place.y + n * tall + 2, above = { ...place, y, height: half }, below = { ...place, y: y + half, height: half };
    if (n) line(pen, [[place.x, y - 2], [place.x + place.width, y - 2]], { alpha: 0.2 });
    spikeMarks(pen, of(wanted, n), columns, 1, above, { colour: ORANGE });
    spikeMarks(pen, of(fired, n), columns, 1, below, { colour: BLUE, to: moment?.column });
    if (half < 8) continue;
    const look = /** @type {const} */ ({ align: "right", size: 10 });
    text(pen, `${shown[n]} wanted`, place.x - 4, above.y + half / 2 + 4, look);
    text(pen, "fired", place.x - 4, below.y + half / 2 + 4, look);
  }
}

/**
 * What is not scored is pale in the readout; what comes after the last step of the sample is shaded in all rows.
 * @param {Pen} pen @param {Scene} scene @param {Box[]} rows the last one is the readout
 */
export function drawUnscored(pen, { length, steps, scored, cell }, rows) {
  const readout = rows[rows.length - 1], columns = Math.ceil(steps / cell), dx = (readout.width * cell) / steps;
  if (scored) {
    const bytes = bytesOf(scored), pale = Array.from({ length: columns }, (_, t) => (bitOf(bytes, t) ? 0 : 1));
    for (const { k, from, to } of runsOf(pale))
      if (k) fill(pen, readout.x + from * dx, readout.y, Math.min(to * dx, readout.width) - from * dx, readout.height, { colour: pen.theme.paper, alpha: 0.65 });
  }
  if (length === null || length >= steps) return;
  for (const { x, y, width, height } of rows) {
    const at = x + (length / steps) * width;
    fill(pen, at, y, x + width - at, height, { alpha: 0.14 });
    line(pen, [[at, y], [at, y + height]], { alpha: 0.5 });
  }
  const at = readout.x + (length / steps) * readout.width;
  text(pen, "end of the sample", Math.min(at + 4, readout.x + readout.width - 104), rows[0].y + 12, { size: 11, halo: true, room: 104 });
}

/**
 * An input, or a sample, of numbers: a line for each of a few channels.
 * @param {Pen} pen @param {Box} place @param {DataView} values @param {number} channels @param {boolean} [axis] with numbers beside it
 * @param {number} [share] of it that is shown
 */
export function drawSignal(pen, place, values, channels, axis = false, share = 1) {
  const numbers = floatsOf(values), count = numbers.length / channels, seen = numbers.filter(Number.isFinite);
  const low = seen.reduce((a, b) => Math.min(a, b), Infinity), high = seen.reduce((a, b) => Math.max(a, b), -Infinity), more = 0.08 * (high - low || 1);
  const at = axis && place.height > 30 ? axisBeside(pen, place, low - more, high + more, 2) : scale(low - more, high + more, place.y + place.height, place.y);
  const x = scale(0, count, place.x, place.x + place.width), shown = Math.round(count * share);
  within(pen, place, () => {
    for (let c = 0; c < channels; c++) {
      const points = Array.from({ length: count }, (_, t) => /** @type {Point} */ ([x(t + 0.5), at(numbers[t * channels + c])]));
      const look = { colour: channels > 1 ? lookOf(c).colour : undefined, width: 1.3 };
      if (share < 1) line(pen, points, { ...look, alpha: 0.2 });
      line(pen, points.slice(0, shown), look);
    }
  });
  box(pen, place);
}
