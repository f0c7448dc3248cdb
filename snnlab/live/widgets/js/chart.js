// One small plot of curves over steps: title, legend and newest values in one line, earlier runs behind, moves as marks.
import { axisBeside, axisUnder, box, dot, explained, fill, floatsOf, line, scale, text, ticks, within } from "./draw.js";
import { percent, powerOfTen, readable } from "./numbers.js";
import { lookOfBranch } from "./scrubber.js";
import { STYLE } from "./style.js";

/** @typedef {import("./types").Pen} Pen @typedef {import("./types").Box} Box @typedef {import("./types").Point} Point */
/**
 * @typedef {{ x: Float32Array, y: Float32Array }} Values
 * @typedef {{ name: string, label: string, colour: string, dash: number[], values: Values, test: boolean, key: string }} Series the last two: of the test set; of its explanation
 * @typedef {{ name: string, number: number, values: Values }} Ghost the curve of another branch
 * @typedef {{ title: string, key: string, log: boolean, series: Series[], earlier: Values[], ghosts: Ghost[], first: boolean, share: boolean, least: number }} Plot `share`: its values are shares; `least`: no lower value is drawn
 * @typedef {{ low: number, high: number, marks: { step: number, label: string }[], cursor: number | null, last: boolean, below: number, covered: [left: number, right: number] | null }} Around `below`: height of what is between the last plot and the numbers of its axis; `covered`: where there is no room for them
 * @typedef {{ name: string, look: import("./types").Line }} Key a line of the legend
 */

/** @param {import("./types").Curve | undefined} curve @returns {Values} */
export const valuesOf = (curve) => (curve ? { x: floatsOf(curve.x), y: floatsOf(curve.y) } : { x: new Float32Array(), y: new Float32Array() });

/**
 * Average over a centred window of a twenty-fifth of the curve; at the ends, over the part of it that exists.
 * @param {Values} curve @returns {Values}
 */
export function movingMean({ x, y }) {
  const reach = Math.max(1, Math.floor(y.length / 50)), sums = new Float64Array(y.length + 1);
  y.forEach((value, k) => (sums[k + 1] = sums[k] + value));
  const mean = (/** @type {number} */ k) => {
    const from = Math.max(k - reach, 0), end = Math.min(k + reach + 1, y.length);
    return (sums[end] - sums[from]) / (end - from);
  };
  return { x, y: Float32Array.from(y, (_, k) => mean(k)) };
}

/** Index of the point nearest to `at`. @param {Float32Array} x ascending @param {number} at */
export function nearest(x, at) {
  let low = 0, high = x.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle] < at) low = middle + 1;
    else high = middle;
  }
  return low > 0 && at - x[low - 1] <= x[low] - at ? low - 1 : low;
}

/**
 * The ends of the axis: around all that is seen, and a little more.
 * @param {Plot} plot @param {Around} around
 */
function heightOf({ series, earlier, ghosts, log, least: floor }, { low, high }) {
  let least = Infinity, most = -Infinity;
  for (const { x, y } of [...series.map(({ values }) => values), ...earlier, ...ghosts.map(({ values }) => values)])
    for (let k = 0; k < x.length; k++)
      if (x[k] >= low && x[k] <= high && Number.isFinite(y[k]) && (!log || y[k] > 0)) {
        least = Math.min(least, y[k]);
        most = Math.max(most, y[k]);
      }
  if (least > most) return null;
  if (most > floor) least = Math.max(least, floor);
  if (log) return [Math.log10(least) - 0.05, Math.max(Math.log10(most), Math.log10(least) + 0.3) + 0.05];
  const more = 0.06 * (most - least || Math.abs(most) || 1);
  return [least - more, most + more];
}

/** @param {Pen} pen @param {Box} place @param {number} low @param {number} high */
function axisOfPowers(pen, { x, y, width, height }, low, high) {
  const at = scale(low, high, y + height, y), whole = ticks(low, high, Math.max(2, height / 30)).filter(Number.isInteger);
  const marks = whole.length > 1 ? whole.map((k) => [k, powerOfTen(k)]) : ticks(low, high, 3).map((k) => [k, readable(10 ** k, 2)]);
  for (const [tick, word] of marks) {
    line(pen, [[x - 4, at(+tick)], [x + width, at(+tick)]], { alpha: 0.15 });
    text(pen, String(word), x - 6, at(+tick) + 4, { align: "right", size: 10, alpha: 0.8 });
  }
  return (/** @type {number} */ value) => (value > 0 ? at(Math.log10(value)) : NaN);
}

/**
 * Labels of the moves, the newest first, as many as there is room for; how many are left out.
 * @param {Pen} pen @param {Box} place @param {(step: number) => number} at @param {Around} around @param {boolean} labelled
 * @param {Box[]} letters that stand there already
 */
function drawMarks(pen, place, at, { marks, low, high }, labelled, letters) {
  const seen = marks.filter(({ step }) => step >= low && step <= high);
  for (const { step } of seen) line(pen, [[at(step), place.y], [at(step), place.y + place.height]], { dash: [2, 3], alpha: 0.6 });
  if (!labelled) return;
  const taken = letters.flatMap(({ x, y, width, height }) => [0, 1, 2].filter((k) => place.y + 11 * k < y + height && place.y + 11 * k + 12 > y).map((k) => [x, x + width, k]));
  let left = 0;
  for (const { step, label } of [...seen].reverse()) {
    pen.font = `10px ${pen.theme.font}`;
    const width = pen.measureText(label).width, right = at(step) + width + 6 < place.x + place.width;
    const from = right ? at(step) + 2 : at(step) - width - 3, row = [0, 1, 2].find((k) => !taken.some(([a, b, r]) => r === k && from < b + 4 && from + width > a - 4));
    if (row === undefined || 12 * (row + 1) > place.height * 0.6) left++;
    else {
      taken.push([from, from + width, row]);
      text(pen, label, from, place.y + 10 + 11 * row, { size: 10, halo: true });
    }
  }
  if (left) text(pen, `and ${left} more`, place.x + 3, place.y + place.height - 4, { size: 10, halo: true, alpha: 0.8 });
}

/** Height of the title of a plot: many curves have their legend in a line of its own. @param {number} curves */
export const titleOf = (curves) => (curves > 2 ? 34 : 20);

/** The title, and beside it or below it every curve with its newest value, or that under the cursor. */
function drawTitle(/** @type {Pen} */ pen, /** @type {Box} */ { x, y, width }, /** @type {Plot} */ { title, key, series, share }, /** @type {Around} */ { cursor }) {
  const many = series.length > 2, y0 = many ? y - 19 : y - 5;
  const from = many ? Math.min(x, 8) : x + text(pen, title, x, y0, { size: 11, bold: true, room: width }) + 8;
  if (many) text(pen, title, x, y0, { size: 11, bold: true, room: width });
  explained(pen, key, { x, y: y0 + 5, width, height: 0 });
  const all = series.map(({ label, values }) => {
    const k = cursor === null ? values.y.length - 1 : nearest(values.x, cursor);
    const value = share ? percent(values.y[k]) : readable(values.y[k], many ? 2 : 3);
    return values.y.length ? `${label} ${value}` : label;
  });
  pen.font = `11px ${pen.theme.font}`;
  const wide = all.map((words) => pen.measureText(words).width), rooms = roomsOf(wide, x + width - from - series.length * 28 + 8);
  let at = from;
  series.forEach(({ colour, dash, key: own }, k) => {
    if (rooms[k] < Math.min(16, wide[k])) return;
    if (own) explained(pen, own, { x: at, y, width: rooms[k] + 20, height: 0 }, 15);
    line(pen, [[at, y - 9], [at + 16, y - 9]], { colour, dash, width: 2 });
    text(pen, all[k], at + 20, y - 5, { size: 11, room: rooms[k] + 1 });
    at += 28 + rooms[k];
  });
}

/**
 * Share out a width: those that need little get it all, the others the same each.
 * @param {number[]} wanted @param {number} width
 */
export function roomsOf(wanted, width) {
  const ascending = [...wanted].sort((a, b) => a - b);
  let left = width, most = Infinity;
  ascending.some((need, k) => {
    most = left / (ascending.length - k);
    if (need > most) return true;
    left -= need;
    most = Infinity;
    return false;
  });
  return wanted.map((need) => Math.max(0, Math.min(need, most)));
}

/**
 * @param {Pen} pen
 * @param {Box} place of the plot itself; title above, numbers at the left and below
 * @param {Plot} plot
 * @param {Around} around
 */
export function drawChart(pen, place, plot, around) {
  const { x, y, width, height } = place, at = scale(around.low, around.high, x, x + width), range = heightOf(plot, around);
  box(pen, place, 0.25);
  drawTitle(pen, place, plot, around);
  if (!range) return void text(pen, "nothing yet", x + width / 2, y + height / 2 + 4, { align: "center", alpha: 0.7 });
  const [low, high] = range, value = plot.log ? axisOfPowers(pen, place, low, high) : axisBeside(pen, place, low, high, Math.max(2, height / 28));
  const pointsOf = (/** @type {Values} */ { x: steps, y: numbers }) => Array.from(steps, (step, k) => /** @type {Point} */ ([at(step), value(numbers[k])]));
  within(pen, place, () => {
    plot.earlier.forEach((values, k) => line(pen, pointsOf(values), lookOfEarlier(k)));
    for (const { number, values } of plot.ghosts) line(pen, pointsOf(values), lookOfGhost(number));
    for (const { values, colour, dash, test } of plot.series) {
      const points = pointsOf(values);
      line(pen, points, { colour, dash, width: 1.6 });
      if (!test && points.length === 1) dot(pen, ...points[0], colour); // a line needs two
      if (test && points.length <= 40) for (const [px, py] of points) diamond(pen, px, py, colour);
    }
  });
  if (isCut(plot, low, around)) text(pen, `\u2193 some are below ${readable(plot.least)}`, x + width - 4, y + height - 4, { align: "right", size: 10, halo: true });
  drawMarks(pen, place, at, around, plot.first, drawLetters(pen, place, plot.ghosts, around, pointsOf));
  if (around.cursor !== null) line(pen, [[at(around.cursor), y], [at(around.cursor), y + height]], { alpha: 0.6 });
  const bottom = { x, y, width, height: height + around.below };
  const [left, right] = around.covered ?? [NaN, NaN], covered = (/** @type {number} */ tick) => at(tick) > left - BESIDE && at(tick) < right + BESIDE;
  const free = ticks(around.low, around.high, Math.max(2, width / 70)).filter((tick) => !covered(tick));
  if (around.last) axisUnder(pen, bottom, free, at, (tick) => readable(tick, 6) + (tick ? "" : " steps"));
  if (around.last && around.cursor !== null) drawStep(pen, bottom, at(around.cursor), `step ${readable(Math.round(around.cursor), 7)}`);
}

/** Whether values lie below the axis. @param {Plot} plot @param {number} low @param {Around} around */
const isCut = ({ series, least }, low, around) => least > -Infinity &&
  series.some(({ values: { x, y } }) => y.some((value, k) => value < low && x[k] >= around.low && x[k] <= around.high));

/**
 * Its letter at the end of each ghost, as far as there is room; returns where they stand.
 * @param {Pen} pen @param {Box} place @param {Ghost[]} ghosts @param {Around} around @param {(values: Values) => Point[]} pointsOf
 */
function drawLetters(pen, place, ghosts, { low, high }, pointsOf) {
  /** @type {Box[]} */ const taken = [];
  for (const { name, values } of ghosts) {
    const end = pointsOf(values).filter(([, y], k) => values.x[k] >= low && values.x[k] <= high && Number.isFinite(y)).pop();
    if (!end) continue;
    pen.font = `600 10px ${pen.theme.font}`;
    const wide = pen.measureText(name).width, x = Math.min(end[0] + 3, place.x + place.width - wide - 2);
    const free = [end[1] - 4, end[1] + 8, end[1] - 14, end[1] + 18].map((y) => ({ x, y: Math.min(Math.max(y, place.y + 1), place.y + place.height - 11), width: wide, height: 10 }))
      .find((box) => !taken.some((other) => other.x < box.x + box.width + 2 && box.x < other.x + other.width + 2 && other.y < box.y + 10 && box.y < other.y + 10));
    if (!free) continue;
    taken.push(free);
    text(pen, name, free.x, free.y + 8, { size: 10, bold: true, halo: true });
  }
  return taken;
}

/** The look of another branch behind the curves. @param {number} number */
export const lookOfGhost = (number) => ({ ...lookOfBranch(number), width: 1.2, alpha: 0.9 });

/** The step under the cursor, over the numbers of the axis. @param {Pen} pen @param {Box} place @param {number} at @param {string} words */
function drawStep(pen, { x, y, width, height }, at, words) {
  pen.font = `11px ${pen.theme.font}`;
  const half = pen.measureText(words).width / 2 + 4, middle = Math.max(x + half, Math.min(at, x + width - half));
  fill(pen, middle - half, y + height + 5, 2 * half, 15, { colour: pen.theme.paper });
  text(pen, words, middle, y + height + 16, { align: "center", size: 11, bold: true });
}

/** @param {Pen} pen @param {number} x @param {number} y @param {string} colour */
function diamond(pen, x, y, colour) {
  if (Number.isNaN(y)) return;
  pen.fillStyle = colour;
  pen.beginPath();
  for (const [dx, dy] of [[0, -4], [4, 0], [0, 4], [-4, 0]]) pen.lineTo(x + dx, y + dy);
  pen.fill();
}

/** The look of an earlier run; 0 is the newest. @param {number} k */
export function lookOfEarlier(k) {
  const [colour, dash] = STYLE.earlier[k % STYLE.earlier.length];
  return { colour, dash, width: 1.2 };
}

const BESIDE = 26; // pixels between a word on the axis and the middle of a number
const KEY = 26, LETTER = 5.6, ROW = 13; // pixels: of a line, of a letter on average, of a row

/**
 * Where the names of earlier runs stand, one after the other in as many rows as they need.
 * @param {string[]} names @param {number} width
 */
export function keysOf(names, width) {
  let x = 0, row = 0;
  const places = names.map((name) => {
    const wide = Math.min(KEY + LETTER * name.length + 12, width);
    if (x > 0 && x + wide > width) [x, row] = [0, row + 1];
    const place = { x, y: row * ROW, width: wide, height: ROW };
    x += wide;
    return place;
  });
  return { places, height: names.length ? (row + 1) * ROW + 3 : 0 };
}

/** Which line is which earlier run or branch. @param {Pen} pen @param {Key[]} keys @param {Box} box */
export function drawKeys(pen, keys, { x, y, width }) {
  const { places } = keysOf(keys.map(({ name }) => name), width);
  places.forEach((place, k) => {
    const middle = y + place.y + ROW / 2;
    line(pen, [[x + place.x, middle], [x + place.x + KEY - 6, middle]], keys[k].look);
    text(pen, keys[k].name, x + place.x + KEY, middle + 4, { size: 10, room: place.width - KEY });
  });
}

/** Whether a curve is of the part of the data that is looked at. @param {string} name */
export const isTest = (name) => /^(test|val)_/.test(name);

/** The look of a curve. @param {string} name @param {number} term its place among the terms of the loss, or -1 */
export function lookOfCurve(name, term) {
  if (term >= 0) return STYLE.terms[term % STYLE.terms.length];
  return isTest(name) ? STYLE.test : (STYLE.others[name] ?? STYLE.train);
}
