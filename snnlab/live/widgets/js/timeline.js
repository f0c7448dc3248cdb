// The time axis that input, layers, readout and one neuron share.
import { VERMILION, axisUnder, box, explained, fill, line, scale, text, ticks } from "./draw.js";
import { readable } from "./numbers.js";

/** @typedef {import("./types").Pen} Pen @typedef {import("./types").Box} Box @typedef {import("./types").Scene} Scene */

/** @param {Scene} scene */
const endOf = (scene) => scene.steps * (scene.dt || 1);
/** @param {Scene} scene @param {Box} place */
const timeScale = (scene, { x, width }) => scale(0, endOf(scene), x, x + width);
/** @param {Scene} scene @param {Box} place */
const timeTicks = (scene, { width }) => ticks(0, endOf(scene), Math.min(width / 80, scene.steps));

/** Columns of a raster. @param {Scene} scene */
export const columnsOf = (scene) => Math.ceil(scene.steps / scene.cell);

/** The numbers under the lowest plot. @param {Pen} pen @param {Scene} scene @param {Box} place */
export function drawTime(pen, scene, place) {
  const unit = scene.dt ? " ms" : " steps";
  axisUnder(pen, place, timeTicks(scene, place), timeScale(scene, place), (tick) => readable(tick, 6) + (tick ? "" : unit));
}

/** The column whose end is nearest to a place on the axis. @param {Scene} scene @param {Box} place @param {number} x */
export const columnUnder = (scene, place, x) => Math.round((((x - place.x) / place.width) * scene.steps) / scene.cell);

/**
 * A moment of the sample: a line over all rows, and the time on the axis.
 * @param {Pen} pen @param {{ share: number, words: string }} moment @param {Box} top @param {Box} bottom
 */
export function drawCursor(pen, { share, words }, top, bottom) {
  const x = bottom.x + share * bottom.width, y = bottom.y + bottom.height, { ink, paper, font } = pen.theme;
  line(pen, [[x, top.y], [x, y + 4]], { colour: VERMILION, width: 2 });
  pen.font = `600 12px ${font}`;
  const wide = pen.measureText(words).width + 12, left = Math.min(Math.max(x - wide / 2, bottom.x - 8), bottom.x + bottom.width + 12 - wide);
  fill(pen, left - 20, y + 5, wide + 40, 17, { colour: paper }); // over the numbers of the axis there
  fill(pen, left, y + 4, wide, 18, { colour: ink });
  text(pen, words, left + 6, y + 17, { bold: true, colour: paper });
}

/**
 * Title, frame, and hairlines at the times that the axis names.
 * @param {Pen} pen @param {Scene} scene @param {Box} place @param {string} title @param {string} key of its explanation
 * @param {number} [taken] by other words at the right
 */
export function drawPlot(pen, scene, place, title, key, taken = 0) {
  const { x, y, width, height } = place, at = timeScale(scene, place);
  explained(pen, key, place);
  text(pen, title, x, y - 5, { room: width - taken, size: 11 });
  for (const tick of timeTicks(scene, place)) line(pen, [[at(tick), y], [at(tick), y + height]], { alpha: 0.1 });
  box(pen, place);
}

/**
 * x of the points of a trace: one every `cell` steps, in the middle of its cell.
 * @param {Scene} scene @param {Box} place @param {number} points
 */
export function timesOf(scene, { x, width }, points) {
  const at = scale(0, scene.steps, x, x + width);
  return Array.from({ length: points }, (_, k) => at(Math.min((k + 0.5) * scene.cell, scene.steps - 0.5)));
}
