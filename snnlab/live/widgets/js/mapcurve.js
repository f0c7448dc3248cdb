// Paints a study of one axis: the score and the spikes over it, as lines through the medians with the spread of the seeds.
import { BLUE, GREEN, ORANGE, VERMILION, axisUnder, box, explained, fill, line, text, within } from "./draw.js";
import { FAILED, STOPPED, WIDE, drawTitle, every, marksOf, scalesOf } from "./mappaint.js";
import { shareOf } from "./shades.js";

/** @typedef {import("./types").Pen} Pen @typedef {import("./types").Box} Box @typedef {import("./types").Point} Point @typedef {import("./mappaint.js").Picture} Picture @typedef {import("./mappaint.js").Scale} Scale */

const TOP = 30, LEFT = 48, RIGHT = 12, BOTTOM = 40, COLOURS = /** @type {const} */ ({ score: BLUE, spikes: GREEN });

/** Where the two plots are. @param {number} width @param {number} height @returns {Box[]} */
export function plotsOf(width, height) {
  const wide = width >= WIDE, each = wide ? width / 2 : width, tall = wide ? height : height / 2;
  return [0, 1].map((k) => ({ x: LEFT + (wide ? k * each : 0), y: TOP + (wide ? 0 : k * tall), width: each - LEFT - RIGHT, height: tall - TOP - BOTTOM }));
}

/** Where the values of the axis are. @param {Box} place @param {number[]} shares */
export const acrossOf = ({ x, width }, shares) => shares.map((share) => x + 10 + share * (width - 20));

/** Which value of the axis is nearest to a point. @param {Box} place @param {number[]} shares @param {{ x: number, y: number }} point @returns {number | null} */
export function nearestAt(place, shares, point) {
  if (point.x < place.x || point.x > place.x + place.width || point.y < place.y - TOP || point.y > place.y + place.height + BOTTOM) return null;
  const away = acrossOf(place, shares).map((x) => Math.abs(x - point.x));
  return away.indexOf(Math.min(...away));
}

/** @param {Pen} pen @param {Box} place @param {Picture} picture @param {Scale} one */
function drawPlot(pen, place, { x: axis, shown, at, drawn, phase }, one) {
  const { x, y, width, height } = place, across = acrossOf(place, axis.places);
  const up = (/** @type {number} */ value) => (Number.isFinite(value) ? y + height * (1 - shareOf(value, one.ends, one.log)) : NaN);
  explained(pen, `map.${one.key}`, { ...place, y: y - 8 });
  drawTitle(pen, x, y - 12, x + width, one.title, one.log ? "log scale" : drawn.others);
  box(pen, place, 0.25);
  for (const mark of marksOf(one, Math.max(2, height / 40))) {
    line(pen, [[x, up(mark)], [x + width, up(mark)]], { alpha: 0.12 });
    text(pen, one.words(mark), x - 6, up(mark) + 4, { align: "right", size: 11, alpha: 0.85 });
  }
  const spread = shown.places.map((place_, k) => ({ ...place_[one.key], x: across[k], place: place_ }));
  drawBand(pen, spread.map(({ x: px, low, high }) => [px, up(high), up(low)]), COLOURS[one.key]);
  if (one.key === "score" && drawn.view.contour) {
    const level = y + height * (1 - (drawn.view.level - one.ends[0]) / (one.ends[1] - one.ends[0])); // may be outside
    within(pen, place, () => line(pen, [[x, level], [x + width, level]], { dash: [7, 4], alpha: 0.6 }));
  }
  line(pen, spread.map(({ x: px, middle }) => [px, up(middle)]), { colour: COLOURS[one.key], width: 2 });
  for (const { x: px, middle, place: { finding, fate, computing } } of spread) {
    const py = Number.isFinite(middle) ? up(middle) : y + height;
    if (computing) fill(pen, px - 1, y, 2, height, { alpha: 0.1 + 0.2 * Math.abs(Math.sin(phase / 4)) });
    if (fate === STOPPED) for (const turn of [1, -1]) line(pen, [[px - 5, py - 5 * turn], [px + 5, py + 5 * turn]], { width: 1.6 });
    else if (fate === FAILED) text(pen, "!", px, y + height - 6, { align: "center", bold: true, size: 14, colour: VERMILION });
    else if (Number.isFinite(middle)) point(pen, px, py, finding ? pen.theme.paper : COLOURS[one.key], COLOURS[one.key], 4);
  }
  if (at !== null && shown.places[at]) {
    line(pen, [[across[at], y], [across[at], y + height]], { colour: ORANGE, width: 1.5 });
    const middle = shown.places[at][one.key].middle;
    if (Number.isFinite(middle)) point(pen, across[at], up(middle), COLOURS[one.key], ORANGE, 6);
  }
  pen.font = `11px ${pen.theme.font}`;
  const need = Math.max(...axis.values.map((words) => pen.measureText(words).width)) + 8, step = every(axis.values.length, (width - 20) / axis.values.length, need);
  const ticks = axis.values.map((_, k) => k).filter((k) => k % step === 0);
  axisUnder(pen, place, ticks, (k) => across[k], (k) => axis.values[k]);
  text(pen, `${axis.words} \u2192`, x + width, y + height + 32, { align: "right", size: 11, alpha: 0.85, room: width });
}

/** @param {Pen} pen @param {number} x @param {number} y @param {string} colour @param {string} edge @param {number} r */
function point(pen, x, y, colour, edge, r) {
  Object.assign(pen, { fillStyle: colour, strokeStyle: edge, lineWidth: 2 });
  pen.beginPath();
  pen.arc(x, y, r, 0, 2 * Math.PI);
  pen.fill();
  pen.stroke();
}

/** From the lowest to the highest seed, where neighbours have both. @param {Pen} pen @param {[x: number, top: number, bottom: number][]} edges @param {string} colour */
function drawBand(pen, edges, colour) {
  pen.globalAlpha = 0.2;
  pen.fillStyle = colour;
  for (let k = 0; k + 1 < edges.length; k++) {
    const [[x0, top0, bottom0], [x1, top1, bottom1]] = [edges[k], edges[k + 1]];
    if (![top0, bottom0, top1, bottom1].every(Number.isFinite)) continue;
    pen.beginPath();
    for (const [x, y] of [[x0, top0], [x1, top1], [x1, bottom1], [x0, bottom0]]) pen.lineTo(x, y);
    pen.fill();
  }
  pen.globalAlpha = 1;
}

/** Both plots; returns where they are. @param {Pen} pen @param {number} width @param {number} height @param {Picture} picture */
export function paintCurve(pen, width, height, picture) {
  const places = plotsOf(width, height);
  scalesOf(picture.about, picture.drawn).forEach((one, k) => drawPlot(pen, places[k], picture, one));
  return places;
}
