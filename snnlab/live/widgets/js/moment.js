// What is known of a sample at one moment of it. A column of the raster is `cell` steps wide, so a moment is the end of a
// column: everything in the columns before it has happened, nothing of the others.
import { floatsOf, intsOf } from "./draw.js";
import { readable } from "./numbers.js";
import { columnsOf } from "./timeline.js";

/** @typedef {import("./types").Scene} Scene @typedef {import("./types").Frame} Frame @typedef {import("./types").Moment} Moment */

/** The time at the end of a column, in the units of the axis. @param {Scene} scene @param {number} column */
export const timeAt = ({ steps, cell, dt }, column) => Math.min(column * cell, steps) * (dt || 1);

/** The time in words: "37 ms". @param {Scene} scene @param {number} column */
export const timeWords = (scene, column) => `${readable(timeAt(scene, column), 4)} ${scene.dt ? "ms" : "steps"}`;

/**
 * The state after the first `column` columns.
 * @param {Scene} scene @param {Frame} frame @param {number} column from 0 to the number of columns
 * @returns {Moment}
 */
export function momentOf(scene, frame, column) {
  const { moments, shown } = frame, columns = columnsOf(scene), over = Math.min(column, columns);
  const row = (/** @type {DataView} */ view) =>
    over ? floatsOf(view).subarray((over - 1) * shown.length, over * shown.length) : new Float32Array(shown.length);
  const newest = (/** @type {DataView} */ view, /** @type {number} */ none) => (over ? intsOf(view)[over - 1] : none);
  return {
    column: over, share: timeAt(scene, over) / timeAt(scene, columns), atEnd: over === columns, words: timeWords(scene, over),
    leads: newest(moments.leads, -1), scores: row(moments.scores), readout: row(moments.readout ?? frame.readout),
    spikes: Object.fromEntries(Object.entries(moments.spikes).map(([name, counts]) => [name, newest(counts, 0)])),
  };
}

/**
 * Points of a trace that show nothing of what comes: with several steps in a column, every two points are the lowest and
 * the highest value of two columns.
 * @param {Scene} scene @param {number} column @param {number} points
 */
export function pointsUntil(scene, column, points) {
  if (column >= columnsOf(scene)) return points;
  return scene.cell === 1 ? column : column - (column % 2);
}

/**
 * Bars of the classes that are shown, on one scale for the whole sample, so that they can race: who leads is the longest.
 * @param {Scene} scene @param {Frame} frame @param {Moment | null} moment null for all of it
 */
export function raceOf(scene, frame, moment) {
  const all = floatsOf(frame.moments.scores).filter(Number.isFinite);
  const low = all.reduce((a, b) => Math.min(a, b), 0), high = all.reduce((a, b) => Math.max(a, b), 0);
  const { scores } = moment ?? momentOf(scene, frame, columnsOf(scene)), leads = moment ? moment.leads : frame.prediction;
  const share = (/** @type {number} */ score) => ((Number.isFinite(score) ? score : 0) - low) / (high - low || 1);
  return {
    leads, zero: share(0),
    bars: frame.shown.map((k, c) => ({ k, name: scene.classes[k], score: scores[c], share: share(scores[c]), leads: k === leads })),
  };
}

/** Whether one class at a time is predicted. @param {string} task */
export const races = (task) => task === "label" || task === "step_labels";

/** Who leads, in words; nothing, if none can. @param {Scene} scene @param {Moment} moment */
export const leaderWords = ({ classes, task }, { leads }) => (!races(task) ? "" : leads < 0 ? "no class leads" : `${classes[leads]} leads`);
