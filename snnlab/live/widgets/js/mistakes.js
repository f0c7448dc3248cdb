// What the network gets wrong where a sample has not one label: classes found and missed, numbers against targets, spike trains.
import { BLUE, GREEN, ORANGE, VERMILION, axisBeside, axisUnder, box, fill, floatsOf, intsOf, line, scale, text, ticks } from "./draw.js";
import { counted, readable } from "./numbers.js";
import { MARK, bars, titled } from "./plots.js";

/** @typedef {import("./types").Pen} Pen @typedef {import("./types").Box} Box @typedef {{ x: number, y: number }} Spot */

const TITLE = 20, BAR = 16, TOP = 46; // height of a row of bars; where the plots begin
export const LOOKS = [GREEN, VERMILION, ORANGE]; // found, missed, claimed wrongly
const MOST = 8; // outputs that have a button
const REACH = 9; // pixels from a point to a click on it

// ---- several labels: a row of bars for each class ----

/** @param {any} several @param {number} width */
export function barsOf({ short, counts }, width) {
  const left = Math.min(14 + 6.5 * Math.max(...short.map((/** @type {string} */ name) => name.length)), 110), right = width - 12;
  const most = Math.max(1, ...counts.map((/** @type {number[]} */ row) => row.reduce((a, b) => a + b, 0)));
  const at = scale(0, most, left, right);
  return counts.map((/** @type {number[]} */ row, /** @type {number} */ k) => {
    let sum = 0;
    return row.map((count) => {
      const x = at(sum);
      sum += count;
      return { x, y: TOP + 18 + k * BAR, width: at(sum) - x, height: BAR - 3, count };
    });
  });
}

/** @param {any} several */
export const heightOfBars = ({ counts }) => TOP + 18 + counts.length * BAR;

/** @param {Pen} pen @param {number} width @param {any} several @param {[number, number] | null} chosen @param {[number, number] | null} cursor */
export function drawBars(pen, width, several, chosen, cursor) {
  const rows = barsOf(several, width), kinds = /** @type {string[]} */ (several.kinds);
  if (!titled(pen, { x: 6, y: TITLE, width: width - 12, height: 40 }, "samples of each class", several, "errors.found and missed")) return;
  let x = 6;
  kinds.forEach((kind, k) => {
    fill(pen, x, TOP - 16, 10, 10, { colour: LOOKS[k] });
    x += 26 + text(pen, kind, x + 14, TOP - 7, { size: 11 });
  });
  rows.forEach((/** @type {any[]} */ row, /** @type {number} */ r) => {
    text(pen, several.short[r], row[0].x - 5, row[0].y + 10, { align: "right", size: 11, room: row[0].x - 8 });
    row.forEach((place, kind) => {
      if (!place.count) return;
      fill(pen, place.x, place.y, Math.max(place.width, 1), place.height, { colour: LOOKS[kind], alpha: kind ? 0.75 : 0.6 });
      pen.font = `10px ${pen.theme.font}`;
      if (place.width > pen.measureText(String(place.count)).width + 4) text(pen, String(place.count), place.x + place.width / 2, place.y + 10, { align: "center", size: 10 });
    });
    const frame = (/** @type {[number, number] | null} */ cell, /** @type {string} */ colour, /** @type {boolean} */ here) => {
      if (!cell || !here || !row[cell[1]].count) return;
      Object.assign(pen, { strokeStyle: colour, lineWidth: 2 });
      pen.strokeRect(row[cell[1]].x, row[cell[1]].y - 1, Math.max(row[cell[1]].width, 2), BAR - 1);
    };
    frame(chosen, MARK, chosen?.[0] === several.shown[r]);
    frame(cursor, BLUE, cursor?.[0] === r);
  });
}

/** The bar at a point. @param {any} several @param {number} width @param {Spot} point @returns {[row: number, kind: number] | null} */
export function barAt(several, width, { x, y }) {
  const row = Math.floor((y - TOP - 18) / BAR), found = barsOf(several, width)[row];
  const kind = found ? found.findIndex((/** @type {Box} */ bar) => x >= bar.x && x < bar.x + bar.width) : -1;
  return kind < 0 ? null : [row, kind];
}

/** @param {any} several @param {number} row @param {number} kind */
export const wordsOfBar = ({ names, kinds, counts }, row, kind) => `${names[row]} ${kinds[kind]}: ${counted(counts[row][kind], "sample")}`;

// ---- numbers: what the network says over the target ----

/** Where the plot is, and the buttons of the outputs. @param {any} numbers @param {number} width */
export function scatterOf({ names, range }, width) {
  const size = Math.min(width - 62, 190), many = names.length > 1, y = many ? TOP + 12 : TITLE + 8;
  const place = { x: 52, y, width: size, height: size }, more = 0.04 * (range[1] - range[0] || 1);
  const ends = /** @type {[number, number]} */ ([range[0] - more, range[1] + more]);
  const wide = (width - 12) / Math.min(names.length, MOST);
  const buttons = many ? names.slice(0, MOST).map((/** @type {string} */ _, /** @type {number} */ k) => ({ x: 6 + k * wide, y: TOP - 14, width: wide - 4, height: 17 })) : [];
  return { place, x: scale(...ends, place.x, place.x + size), y: scale(...ends, place.y + size, place.y), ends, buttons };
}

/** @param {any} numbers @param {number} width */
export const heightOfScatter = (numbers, width) => {
  const { place } = scatterOf(numbers, width);
  return place.y + place.height + 30;
};

/** @param {Pen} pen @param {number} width @param {any} numbers */
export function drawScatter(pen, width, numbers) {
  const { place, x, y, ends, buttons } = scatterOf(numbers, width), xs = floatsOf(numbers.x), ys = floatsOf(numbers.y);
  const title = `predicted (up) against true${numbers.names.length > 1 ? `: ${numbers.names[numbers.output]}` : ""}`;
  if (!titled(pen, { x: 6, y: TITLE, width: width - 12, height: 40 }, title, numbers, "errors.predicted against true")) return;
  buttons.forEach((/** @type {Box} */ button, /** @type {number} */ k) => {
    const here = k === numbers.output;
    text(pen, numbers.names[k], button.x + 4, button.y + 13, { size: 11, bold: here, room: button.width - 8 });
    if (here) box(pen, button, 0.8);
  });
  axisBeside(pen, place, ends[0], ends[1], 5);
  axisUnder(pen, place, ticks(ends[0], ends[1], 4), x, (tick) => readable(tick, 4));
  box(pen, place, 0.25);
  line(pen, [[x(ends[0]), y(ends[0])], [x(ends[1]), y(ends[1])]], { alpha: 0.6, dash: [4, 3] });
  text(pen, "predicted = true", x(ends[1]) - 26, y(ends[1]) + 12, { align: "right", size: 10, alpha: 0.8, halo: true });
  pen.fillStyle = BLUE;
  pen.globalAlpha = xs.length > 300 ? 0.35 : 0.6;
  for (let k = 0; k < xs.length; k++) pen.fillRect(x(xs[k]) - 1.5, y(ys[k]) - 1.5, 3, 3);
  pen.globalAlpha = 1;
}

/** The sample whose point is nearest to a click, or null. @param {any} numbers @param {number} width @param {Spot} at */
export function pointAt(numbers, width, at) {
  const { x, y } = scatterOf(numbers, width), xs = floatsOf(numbers.x), ys = floatsOf(numbers.y), samples = intsOf(numbers.samples);
  let best = REACH, found = null;
  for (let k = 0; k < xs.length; k++) {
    const far = Math.hypot(x(xs[k]) - at.x, y(ys[k]) - at.y);
    if (far <= best) [best, found] = [far, samples[k]];
  }
  return /** @type {number | null} */ (found);
}

/** The output whose button is at a point, or null. @param {any} numbers @param {number} width @param {Spot} at */
export function outputAt(numbers, width, at) {
  const k = scatterOf(numbers, width).buttons.findIndex((/** @type {Box} */ { x, y, width: wide, height }) => at.x >= x && at.x < x + wide && at.y >= y && at.y < y + height);
  return k < 0 ? null : k;
}

// ---- spike trains ----

export const TRAINS_HEIGHT = TOP + 90 + 24;

/** @param {Pen} pen @param {number} width @param {any} trains */
export function drawDistances(pen, width, trains) {
  if (!titled(pen, { x: 6, y: TITLE, width: width - 12, height: 40 }, "samples by van Rossum distance", trains, "errors.distances")) return;
  bars(pen, { x: 12, y: TOP - 10, width: width - 30, height: 90 }, trains.counts, 0, trains.high, "");
}
