// Small plots that several panels draw: bars, lines, points, images with axes.
import { BLUE, ORANGE, axisBeside, axisUnder, box, explained, fill, line, lookOf, picture, scale, text, ticks, within } from "./draw.js";
import { readable } from "./numbers.js";

/** @typedef {import("./types").Pen} Pen @typedef {import("./types").Box} Box @typedef {import("./types").Point} Point */

/**
 * A title, or why there is nothing to draw; returns whether there is.
 * @param {Pen} pen @param {Box} place @param {string} title @param {any} frame @param {string} key of its explanation
 */
export function titled(pen, place, title, frame, key) {
  explained(pen, key, place);
  text(pen, title, place.x, place.y - 6, { size: 11, bold: true, room: place.width });
  if (frame && !frame.reason) return true;
  box(pen, place, 0.15);
  lines(pen, frame?.reason ?? "not looked at yet", { ...place, x: place.x + 6, width: place.width - 12, y: place.y + place.height / 2 - 6 });
  return false;
}

/**
 * Words in rows that are at most so wide; a word that is wider has a row of its own.
 * @param {Pen} pen with its font @param {string} words @param {number} width @param {RegExp} [after] where a row may end
 */
export function rowsOf(pen, words, width, after = /(?<= )/) {
  /** @type {string[]} */ const rows = [];
  for (const part of words.split(after)) {
    const longer = (rows[rows.length - 1] ?? "") + part;
    if (rows.length && pen.measureText(longer.trimEnd()).width <= width) rows[rows.length - 1] = longer;
    else rows.push(part);
  }
  return rows.map((row) => row.trimEnd());
}

/**
 * Words in at most so many rows; a sign says that some are left out. Returns their height.
 * @param {Pen} pen @param {string} words @param {Box} place @param {number} [most] @param {RegExp} [after] where a row may end
 */
export function lines(pen, words, { x, y, width }, most = 4, after) {
  pen.font = `11px ${pen.theme.font}`;
  const rows = rowsOf(pen, words, width, after), shown = rows.slice(0, most);
  if (rows.length > most) shown[most - 1] = rows.slice(most - 1).join(" ");
  shown.forEach((row, k) => text(pen, row, x, y + 13 * k, { size: 11, room: width, alpha: 0.85 }));
  return 13 * shown.length;
}

/** Bars from `low` to `high`. @param {Pen} pen @param {Box} place @param {number[]} counts @param {number} low @param {number} high @param {string} unit */
export function bars(pen, place, counts, low, high, unit) {
  const top = Math.max(1, ...counts), wide = place.width / counts.length, bottom = place.y + place.height;
  counts.forEach((count, k) => {
    const tall = count ? Math.max(1.5, (count / top) * place.height) : 0;
    fill(pen, place.x + k * wide + 0.5, bottom - tall, Math.max(wide - 1, 1), tall, { colour: BLUE });
  });
  underAxis(pen, place, low, high, unit);
}

/** @param {Pen} pen @param {Box} place @param {number} low @param {number} high @param {string} unit */
export function underAxis(pen, place, low, high, unit) {
  const at = scale(low, high, place.x, place.x + place.width), marks = ticks(low, high, Math.max(2, place.width / 60));
  line(pen, [[place.x, place.y + place.height + 0.5], [place.x + place.width, place.y + place.height + 0.5]], { alpha: 0.5 });
  axisUnder(pen, place, marks, at, (tick) => readable(tick, 4) + (tick === marks[0] && unit ? ` ${unit}` : ""));
}

/**
 * Curves over one axis.
 * @param {Pen} pen @param {Box} place @param {ArrayLike<number>} xs
 * @param {{ ys: ArrayLike<number>, look: import("./types").Line }[]} curves @param {{ low: number, high: number, unit: string }} range of y, and the unit of x
 */
export function plot(pen, place, xs, curves, { low, high, unit }) {
  const first = xs[0] ?? 0, last = xs[xs.length - 1] ?? 1, at = scale(first, last, place.x, place.x + place.width);
  const up = axisBeside(pen, place, low, high, Math.max(2, place.height / 30));
  box(pen, place, 0.25);
  within(pen, place, () => {
    for (const { ys, look } of curves) line(pen, Array.from(xs, (x, k) => /** @type {Point} */ ([at(x), up(ys[k])])), look);
  });
  underAxis(pen, place, first, last, unit);
  return { at, up };
}

/** Points in a plane, by class: colour and shape. @param {Pen} pen @param {Box} place @param {ArrayLike<number>} xs @param {ArrayLike<number>} ys @param {ArrayLike<number>} labels */
export function scatter(pen, place, xs, ys, labels) {
  const ends = (/** @type {ArrayLike<number>} */ values) => Array.from(values).reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  const [left, right] = ends(xs), [low, high] = ends(ys);
  const x = scale(left, right, place.x + 5, place.x + place.width - 5), y = scale(low, high, place.y + place.height - 5, place.y + 5);
  box(pen, place, 0.25);
  for (let k = 0; k < xs.length; k++) symbol(pen, x(xs[k]), y(ys[k]), labels[k]);
}

/** One of 18 symbols: six colours, and within a colour three shapes. @param {Pen} pen @param {number} x @param {number} y @param {number} k */
export function symbol(pen, x, y, k) {
  const shape = Math.floor(k / 6) % 3, r = 3;
  pen.fillStyle = lookOf(k).colour;
  pen.globalAlpha = 0.75;
  pen.beginPath();
  if (shape === 0) pen.arc(x, y, r, 0, 2 * Math.PI);
  else for (const [dx, dy] of shape === 1 ? [[-1, -1], [1, -1], [1, 1], [-1, 1]] : [[0, -1.3], [1.2, 0.9], [-1.2, 0.9]]) pen.lineTo(x + r * dx, y + r * dy);
  pen.fill();
  pen.globalAlpha = 1;
}

const ramp = (/** @type {number} */ byte) => [255 - (255 - 0) * (byte / 255), 255 - (255 - 114) * (byte / 255), 255 - (255 - 178) * (byte / 255)];

/** White to blue. @param {Pen} pen @param {Box} place @param {import("./types").Picture} image */
export function shaded(pen, place, image) {
  picture(pen, image, ramp, place);
  box(pen, place, 0.25);
}

export const MARK = ORANGE; // of what is chosen
