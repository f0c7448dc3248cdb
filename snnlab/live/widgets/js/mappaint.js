// Paints the map of a study: two panels over the same axes, accuracy and spikes a sample, with what the signs mean below.
import { ORANGE, VERMILION, box, explained, fill, fit, line, text, ticks } from "./draw.js";
import { percent, readable } from "./numbers.js";
import { HIGH, LOW, over, shade, shareOf } from "./shades.js";

/**
 * @typedef {import("./types").Pen} Pen @typedef {import("./types").Box} Box @typedef {import("./types").Point} Point
 * @typedef {import("./types").MapAbout} MapAbout @typedef {import("./types").MapDrawn} MapDrawn
 * @typedef {import("./types").MapShown} MapShown @typedef {import("./types").MapPlace} MapPlace @typedef {import("./types").MapAxis} MapAxis
 * @typedef {{ key: "score" | "spikes", title: string, shades: string[], log: boolean, ends: [number, number], words: (value: number) => string }} Scale
 * @typedef {{ about: MapAbout, drawn: MapDrawn, shown: MapShown, x: MapAxis, y: MapAxis | null, at: number | null, phase: number }} Picture `at`: the place that is looked at; `phase`: of the edges that move
 */

export const [ABSENT, WAITING, RUNNING, , STOPPED, FAILED] = [0, 1, 2, 3, 4, 5];
const TOP = 38, BOTTOM = 36, BAR = 10, BESIDE = 52, KEY = 17; // pixels: above a panel, below it, its colour bar, that with its numbers, a row of the key
export const WIDE = 640; // pixels from which the panels are side by side
const SMALL = 10; // pixels: a cell that is smaller has no mark inside
const HATCHES = /** @type {const} */ (["", "lying", "standing", "leaning"]); // silent, saturated, diverged

/** The scales of both panels. @param {MapAbout} about @param {MapDrawn} drawn @returns {Scale[]} */
export function scalesOf({ score }, { scales, below }) {
  const words = (/** @type {number} */ value) => (score.share ? percent(value) : readable(value));
  return [
    { key: "score", title: score.name, shades: HIGH, log: false, ends: scales.score, words },
    {
      key: "spikes", title: "spikes a sample", shades: LOW, log: true, ends: scales.spikes,
      words: (value) => (below && value <= scales.spikes[0] ? "\u2264" : "") + readable(value),
    },
  ];
}

/** Marks beside a scale, each a value. @param {Scale} scale @param {number} most */
export function marksOf({ log, ends: [low, high] }, most) {
  if (!log) return ticks(low, high, most);
  const decades = Math.log10(high / low), all = [];
  for (const k of decades > most - 1 ? [1] : decades > most / 3 ? [1, 3] : [1, 2, 5])
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) all.push(+(k * 10 ** power).toPrecision(6));
  return all.filter((mark) => mark >= low * 0.999 && mark <= high * 1.001).sort((a, b) => a - b);
}

/**
 * Where the panels are, and the key.
 * @param {Pen} pen @param {number} width @param {number} height @param {string[]} labels of the y axis
 */
export function placesOf(pen, width, height, labels) {
  pen.font = `11px ${pen.theme.font}`;
  const left = Math.min(12 + Math.max(14, ...labels.map((words) => pen.measureText(words).width)), 90), wide = width >= WIDE;
  const key = wide ? KEY : 2 * KEY, gap = 10, rest = width - 4;
  const each = wide ? (rest - left - 2 * BESIDE - gap) / 2 : rest - left - BESIDE;
  const tall = wide ? height - TOP - BOTTOM - key : (height - key) / 2 - TOP - BOTTOM;
  const first = { x: left, y: TOP, width: each, height: tall };
  const second = wide ? { ...first, x: left + each + BESIDE + gap } : { ...first, y: TOP + (height - key) / 2 };
  return { panels: [first, second], shared: wide, key: { x: 4, y: height - key + 4, width: width - 8, height: key } };
}

/** The box of a place, on whole pixels. @param {Box} panel @param {MapShown} shown @param {number} place @returns {Box} */
export function boxOfPlace({ x, y, width, height }, { rows, columns }, place) {
  const row = rows - 1 - Math.floor(place / columns), column = place % columns;
  const [left, right] = [column, column + 1].map((k) => Math.round(x + (k * width) / columns));
  const [top, bottom] = [row, row + 1].map((k) => Math.round(y + (k * height) / rows));
  const gap = width / columns > 6 && height / rows > 6 ? 1 : 0;
  return { x: left, y: top, width: right - left - gap, height: bottom - top - gap };
}

/** Which place is at a point of a panel. @param {Box} panel @param {MapShown} shown @param {{ x: number, y: number }} point @returns {number | null} */
export function placeAt({ x, y, width, height }, { rows, columns }, point) {
  const column = Math.floor(((point.x - x) / width) * columns), row = rows - 1 - Math.floor(((point.y - y) / height) * rows);
  return column >= 0 && column < columns && row >= 0 && row < rows ? row * columns + column : null;
}

/**
 * Lines of a hatch over a box.
 * @param {Box} place @param {"" | "lying" | "standing" | "leaning"} kind @returns {[Point, Point][]}
 */
export function hatch({ x, y, width, height }, kind) {
  const apart = Math.max(3, Math.min(width, height) / 4);
  /** @type {[Point, Point][]} */ const found = [];
  if (kind === "lying") for (let at = apart / 2; at < height; at += apart) found.push([[x, y + at], [x + width, y + at]]);
  if (kind === "standing") for (let at = apart / 2; at < width; at += apart) found.push([[x + at, y], [x + at, y + height]]);
  if (kind === "leaning")
    for (let at = apart / 2; at < width + height; at += 1.3 * apart)
      found.push([[x + Math.max(0, at - height), y + Math.min(at, height)], [x + Math.min(at, width), y + Math.max(0, at - width)]]);
  return found;
}

/** @param {Pen} pen @param {Box} place @param {number} finding @param {string} colour */
function drawHatch(pen, place, finding, colour) {
  for (const ends of hatch(place, HATCHES[finding])) line(pen, ends, { colour, alpha: 0.75 });
}

/** Signs of a cell that does not train: a cross, or an exclamation mark. @param {Pen} pen @param {Box} place @param {number} fate @param {string} colour */
function drawSign(pen, { x, y, width, height }, fate, colour) {
  const r = Math.min(width, height) * 0.3, cx = x + width / 2, cy = y + height / 2;
  if (fate === STOPPED) for (const turn of [1, -1]) line(pen, [[cx - r, cy - turn * r], [cx + r, cy + turn * r]], { colour, width: Math.max(1.2, r / 3) });
  if (fate !== FAILED) return;
  pen.fillStyle = VERMILION;
  pen.beginPath();
  for (const [dx, dy] of [[0, -1.25], [1.25, 1], [-1.25, 1]]) pen.lineTo(cx + r * dx, cy + r * dy);
  pen.fill();
  if (r > 4) fill(pen, cx - 0.8, cy - 0.5 * r, 1.6, 0.8 * r, { colour: "#ffffff" });
  if (r > 4) fill(pen, cx - 0.8, cy + 0.5 * r, 1.6, 1.6, { colour: "#ffffff" });
}

/** An edge that moves. @param {Pen} pen @param {Box} cell @param {number} phase */
function drawEdge(pen, cell, phase) {
  const path = outline(cell, -1);
  const width = Math.min(cell.width, cell.height) < 14 ? 1.2 : 2;
  line(pen, path, { colour: "#ffffff", width });
  pen.lineDashOffset = -phase;
  line(pen, path, { colour: "#000000", width, dash: [4, 4] });
  pen.lineDashOffset = 0;
}

/**
 * One place of a panel.
 * @param {Pen} pen @param {Box} cell @param {MapPlace} place @param {Scale} scale @param {boolean} ahead whether it is on the front
 */
function drawPlace(pen, cell, place, scale, ahead) {
  if (place.fate === ABSENT) return;
  const { middle, low, high } = place[scale.key], known = Number.isFinite(middle);
  const colourOf = (/** @type {number} */ value) => shade(scale.shades, shareOf(value, scale.ends, scale.log));
  const colour = known ? colourOf(middle) : "", on = known ? over(colour) : pen.theme.ink, size = Math.min(cell.width, cell.height);
  fill(pen, cell.x, cell.y, cell.width, cell.height, known ? { colour } : { alpha: place.fate === WAITING ? 0.09 : 0.14 });
  if (place.finding) drawHatch(pen, cell, place.finding, on);
  if (known && size >= SMALL && high > low) {
    const half = Math.round(0.22 * size), x = cell.x + Math.round(cell.width / 2), y = cell.y + Math.round(cell.height / 2) - half;
    fill(pen, x - half, y, half, 2 * half, { colour: colourOf(low) });
    fill(pen, x, y, half, 2 * half, { colour: colourOf(high) });
  }
  if (place.fate === RUNNING && place.progress > 0) fill(pen, cell.x, cell.y + cell.height - 2, Math.max(1, cell.width * place.progress), 2, { colour: on, alpha: 0.6 });
  drawSign(pen, cell, place.fate, on);
  if (ahead && size >= 6) drawCorner(pen, cell, on);
}

/** @param {Pen} pen @param {Box} cell @param {string} colour */
function drawCorner(pen, { x, y, width, height }, colour) {
  const r = Math.min(8, 0.4 * width, 0.4 * height);
  pen.fillStyle = colour;
  pen.beginPath();
  for (const [px, py] of [[x + width - r, y], [x + width, y], [x + width, y + r]]) pen.lineTo(px, py);
  pen.fill();
}

/** The lines of equal score. @param {Pen} pen @param {Box} panel @param {Picture} picture @param {(value: number) => string} words */
function drawContour(pen, { x, y, width, height }, { drawn: { contour, view }, shown: { rows, columns } }, words) {
  const lines = contour.map((points) => points.map(([px, py]) => /** @type {Point} */ ([x + ((px + 0.5) * width) / columns, y + height - ((py + 0.5) * height) / rows])));
  for (const look of [{ colour: "#ffffff", width: 4, alpha: 0.9 }, { colour: "#000000", width: 1.6 }]) for (const points of lines) line(pen, points, look);
  const longest = lines.reduce((best, points) => (points.length > best.length ? points : best), /** @type {Point[]} */ ([]));
  if (!longest.length) return;
  const label = words(view.level), [lx, ly] = longest[Math.floor(longest.length / 2)];
  pen.font = `600 10px ${pen.theme.font}`;
  const half = pen.measureText(label).width / 2 + 3, at = Math.min(Math.max(lx, x + half), x + width - half);
  fill(pen, at - half, ly - 7, 2 * half, 13, { colour: "#ffffff" });
  text(pen, label, at, ly + 3.5, { align: "center", size: 10, bold: true, colour: "#000000" });
}

/** Every so many values have a number: as many as there is room for. @param {number} count @param {number} apart pixels @param {number} need */
export const every = (count, apart, need) => Math.max(1, Math.ceil(need / apart));

/** @param {Pen} pen @param {Box} panel @param {Picture} picture @param {boolean} beside whether the y axis has its numbers here */
function drawAxes(pen, { x, y, width, height }, { x: across, y: up, shown: { rows, columns } }, beside) {
  pen.font = `11px ${pen.theme.font}`;
  const need = Math.max(...across.values.map((words) => pen.measureText(words).width)) + 8, apart = width / columns, step = every(columns, apart, need);
  across.values.forEach((words, k) => {
    if (k % step) return;
    const middle = x + (k + 0.5) * apart;
    line(pen, [[middle, y + height], [middle, y + height + 3]], { alpha: 0.5 });
    text(pen, words, middle, y + height + 14, { align: "center", size: 11, alpha: 0.85 });
  });
  text(pen, `${across.words} \u2192`, x + width, y + height + 29, { align: "right", size: 11, alpha: 0.85, room: width });
  if (!up || !beside) return;
  const tall = height / rows, jump = every(rows, tall, 14);
  up.values.forEach((words, k) => {
    if (k % jump) return;
    const middle = y + height - (k + 0.5) * tall;
    line(pen, [[x - 3, middle], [x, middle]], { alpha: 0.5 });
    text(pen, fit(pen, words, x - 10), x - 6, middle + 4, { align: "right", size: 11, alpha: 0.85 });
  });
  text(pen, `\u2191 ${up.words}`, 4, y - 8, { size: 11, alpha: 0.85, room: x + width - 8 });
}

/** The key to the colours, with a pointer at the value of the place that is looked at. @param {Pen} pen @param {Box} panel @param {Scale} scale @param {number} value */
function drawBar(pen, { x, y, width, height }, scale, value) {
  const left = x + width + 8, parts = Math.min(Math.round(height), 96), at = (/** @type {number} */ v) => y + height * (1 - shareOf(v, scale.ends, scale.log));
  for (let k = 0; k < parts; k++) {
    const bottom = Math.round(y + height * (1 - k / parts)), top = Math.round(y + height * (1 - (k + 1) / parts));
    fill(pen, left, top, BAR, bottom - top, { colour: shade(scale.shades, (k + 0.5) / parts) });
  }
  box(pen, { x: left, y, width: BAR, height }, 0.4);
  for (const mark of marksOf(scale, Math.max(2, Math.min(6, height / 34)))) {
    line(pen, [[left + BAR, at(mark)], [left + BAR + 3, at(mark)]], { alpha: 0.6 });
    text(pen, scale.words(mark), left + BAR + 5, at(mark) + 4, { size: 10, alpha: 0.85, room: BESIDE - BAR - 12 });
  }
  if (!Number.isFinite(value)) return;
  pen.fillStyle = ORANGE;
  pen.beginPath();
  for (const [dx, dy] of [[0, 0], [-6, -4.5], [-6, 4.5]]) pen.lineTo(left + dx, at(value) + dy);
  pen.fill();
}

/** @param {Pen} pen @param {number} x @param {number} y @param {number} end @param {string} title @param {string} more beside it, pale */
export function drawTitle(pen, x, y, end, title, more) {
  const from = x + text(pen, title, x, y, { size: 13, bold: true, room: end - x }) + 8;
  if (end - from > 40) text(pen, more, from, y, { size: 11, alpha: 0.85, room: end - from });
}

/** @param {Pen} pen @param {Box} panel @param {Picture} picture @param {Scale} scale @param {boolean} beside */
function drawPanel(pen, panel, picture, scale, beside) {
  const { shown, drawn, at } = picture, ahead = new Set(drawn.view.front ? drawn.front : []), from = beside ? 4 : panel.x;
  explained(pen, `map.${scale.key}`, { ...panel, y: panel.y - 18 });
  drawTitle(pen, from, panel.y - 24, panel.x + panel.width + BESIDE - 4, scale.title, scale.log ? "log scale" : drawn.others);
  shown.places.forEach((place, k) => drawPlace(pen, boxOfPlace(panel, shown, k), place, scale, ahead.has(k)));
  const words = scalesOf(picture.about, drawn)[0].words;
  drawContour(pen, panel, picture, words);
  shown.places.forEach((place, k) => place.computing && drawEdge(pen, boxOfPlace(panel, shown, k), picture.phase));
  drawAxes(pen, panel, picture, beside);
  drawBar(pen, panel, scale, at === null ? NaN : (shown.places[at]?.[scale.key].middle ?? NaN));
  if (at === null || !shown.places[at]) return;
  const here = boxOfPlace(panel, shown, at);
  line(pen, outline(here, 2.5), { colour: pen.theme.paper, width: 2 });
  line(pen, outline(here, 1), { colour: ORANGE, width: 2.5 });
}

/** Around a box, at some distance. @param {Box} cell @param {number} far @returns {Point[]} */
const outline = ({ x, y, width, height }, far) =>
  [[x - far, y - far], [x + width + far, y - far], [x + width + far, y + height + far], [x - far, y + height + far], [x - far, y - far]];

/** What the signs in a map are, of those that it has. @param {Picture} picture @returns {[words: string, draw: (pen: Pen, cell: Box) => void][]} */
export function keyOf({ about, shown: { places }, drawn: { contour, front, view }, phase }) {
  const grey = (/** @type {Pen} */ pen, /** @type {Box} */ cell, alpha = 0.14) => fill(pen, cell.x, cell.y, cell.width, cell.height, { alpha });
  const some = (/** @type {(place: MapPlace) => boolean} */ what) => places.some(what);
  /** @type {[boolean, string, (pen: Pen, cell: Box) => void][]} */
  const all = [
    ...about.findings.slice(1).map((words, k) => /** @type {[boolean, string, (pen: Pen, cell: Box) => void]} */ ([
      some(({ finding }) => finding === k + 1), words, (pen, cell) => { grey(pen, cell); drawHatch(pen, cell, k + 1, pen.theme.ink); },
    ])),
    [some(({ fate }) => fate === WAITING), "waiting", (pen, cell) => grey(pen, cell, 0.09)],
    [some(({ computing }) => computing), "computing", (pen, cell) => { grey(pen, cell); drawEdge(pen, cell, phase); }],
    [some(({ fate }) => fate === STOPPED), "stopped", (pen, cell) => { grey(pen, cell); drawSign(pen, cell, STOPPED, pen.theme.ink); }],
    [some(({ fate }) => fate === FAILED), "failed", (pen, cell) => { grey(pen, cell); drawSign(pen, cell, FAILED, pen.theme.ink); }],
    [about.seeds.length > 1, "lowest and highest seed", (pen, { x, y, width, height }) => {
      fill(pen, x, y, width, height, { colour: shade(HIGH, 0.6) });
      fill(pen, x + 3, y + 3, width / 2 - 3, height - 6, { colour: shade(HIGH, 0.25) });
      fill(pen, x + width / 2, y + 3, width / 2 - 3, height - 6, { colour: shade(HIGH, 0.95) });
    }],
    [contour.length > 0, "equal score", (pen, { x, y, width, height }) => line(pen, [[x, y + height - 2], [x + width, y + 2]], { width: 1.6 })],
    [view.front && front.length > 0, "Pareto front", (pen, cell) => { grey(pen, cell); drawCorner(pen, cell, pen.theme.ink); }],
  ];
  return all.filter(([there]) => there).map(([, words, draw]) => [words, draw]);
}

/** @param {Pen} pen @param {Box} place @param {Picture} picture */
function drawKey(pen, place, picture) {
  let [x, y] = [place.x, place.y];
  explained(pen, "map.key", place, 0);
  pen.font = `10px ${pen.theme.font}`;
  for (const [words, draw] of keyOf(picture)) {
    const wide = 17 + pen.measureText(words).width + 10;
    if (x + wide > place.x + place.width) [x, y] = [place.x, y + KEY];
    if (y + 12 > place.y + place.height) return;
    draw(pen, { x, y, width: 13, height: 11 });
    x += 17;
    x += text(pen, words, x, y + 9, { size: 10, alpha: 0.9 }) + 10;
  }
}

/** Both panels and the key; returns where the panels are. @param {Pen} pen @param {number} width @param {number} height @param {Picture} picture */
export function paintMap(pen, width, height, picture) {
  const { panels, shared, key } = placesOf(pen, width, height, picture.y?.values ?? []);
  scalesOf(picture.about, picture.drawn).forEach((scale, k) => drawPanel(pen, panels[k], picture, scale, k === 0 || !shared));
  drawKey(pen, key, picture);
  return panels;
}
