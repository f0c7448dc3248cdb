// What is said of a place of a map, and of its cells.
import { FATES } from "./mapstore.js";
import { percent, readable } from "./numbers.js";

/** @typedef {import("./types").MapAbout} MapAbout @typedef {import("./types").MapView} MapView @typedef {import("./types").MapPlace} MapPlace @typedef {import("./types").MapCell} MapCell */

/** @param {MapAbout} about @param {number} value */
export const scoreWords = ({ score }, value) => (!Number.isFinite(value) ? "\u2013" : score.share ? percent(value) : readable(value));

/** @param {number} value */
export const spikeWords = (value) => (Number.isFinite(value) ? readable(value) : "\u2013");

/** The place of a cell on each axis, by its number. @param {number[]} shape @param {number} number */
export function indexOf(shape, number) {
  const found = [];
  for (const size of [...shape].reverse()) {
    found.unshift(number % size);
    number = Math.floor(number / size);
  }
  return found;
}

/** The values of a cell on the axes that are questions: name, value and unit. @param {MapAbout} about @param {number} number */
export function valuesOfCell({ axes, shape }, number) {
  const index = indexOf(shape, number);
  return axes.map(({ name, values, unit, shown }, k) => ({ name, words: `${values[index[k]]}${unit && ` ${unit}`}`, shown })).filter(({ shown }) => shown);
}

/** Where a cell or a place stands. @param {MapAbout} about @param {{ fate: number, finding: number, computing: boolean }} one */
export function standsAt({ findings }, { fate, finding, computing }) {
  const fates = computing ? "computing" : FATES[fate] ?? "";
  return [fates, findings[finding]].filter(Boolean).join(", ") || "not part of the search";
}

/** All of a place, for those who do not see it. @param {MapAbout} about @param {MapPlace} place */
export function placeWords(about, place) {
  const where = valuesOfCell(about, place.base).map(({ name, words }) => `${name} ${words}`).join(", ");
  const { score, spikes } = place, known = Number.isFinite(score.middle);
  const spread = known && score.high > score.low ? ` (${scoreWords(about, score.low)} to ${scoreWords(about, score.high)})` : "";
  const said = known ? `${about.score.name} ${scoreWords(about, score.middle)}${spread}, ${spikeWords(spikes.middle)} spikes a sample` : "nothing yet";
  return `${where}: ${said}, ${standsAt(about, place)}`;
}

/** Where an arrow key leads in a map. @param {string} key @param {number} place @param {number} rows @param {number} columns @returns {number | null} */
export function turned(key, place, rows, columns) {
  const row = Math.floor(place / columns), column = place % columns;
  const turns = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -columns], End: [0, columns] };
  const [up, right] = /** @type {Record<string, number[]>} */ (turns)[key] ?? [];
  if (up === undefined) return null;
  return Math.min(Math.max(row + up, 0), rows - 1) * columns + Math.min(Math.max(column + right, 0), columns - 1);
}
