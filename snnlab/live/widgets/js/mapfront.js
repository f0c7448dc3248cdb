// Every place by its spikes and its score: up and to the left is better, and the stairs are the Pareto front.
import { mount, pointOf } from "./canvas.js";
import { BLUE, ORANGE, box, explained, line, text } from "./draw.js";
import { h } from "./dom.js";
import { panel } from "./fields.js";
import { marksOf, scalesOf } from "./mappaint.js";
import { placeWords } from "./mapwords.js";
import { shareOf } from "./shades.js";

/** @typedef {import("./types").Pen} Pen @typedef {import("./types").Box} Box @typedef {import("./types").Point} Point @typedef {import("./types").MapAbout} MapAbout @typedef {import("./types").MapDrawn} MapDrawn @typedef {import("./types").MapPlace} MapPlace */

const NEAR = 14; // pixels within which the pointer finds a place

/** @param {number} width @param {number} height @returns {Box} */
const plotOf = (width, height) => ({ x: 44, y: 20, width: width - 56, height: height - 54 });

/** Where a place is drawn; null if it has no numbers. @param {Box} plot @param {MapAbout} about @param {MapDrawn} drawn @param {MapPlace} place @returns {Point | null} */
export function pointOfPlace({ x, y, width, height }, about, drawn, place) {
  const [score, spikes] = scalesOf(about, drawn), value = place.score.middle, cost = place.spikes.middle;
  if (!Number.isFinite(value) || !Number.isFinite(cost)) return null;
  return [x + 4 + (width - 8) * shareOf(cost, spikes.ends, true), y + height - 4 - (height - 8) * shareOf(value, score.ends, false)];
}

/** The place that is drawn nearest to a point, within reach. @param {(Point | null)[]} points @param {{ x: number, y: number }} at @returns {number | null} */
export function nearestPoint(points, at) {
  let best = null, least = NEAR;
  points.forEach((point, k) => {
    const away = point ? Math.hypot(point[0] - at.x, point[1] - at.y) : Infinity;
    if (away < least) [best, least] = [k, away];
  });
  return best;
}

/** The stairs through the front. @param {Point[]} points by spikes @param {number} right where the last one ends @returns {Point[]} */
export function stairs(points, right) {
  const steps = points.flatMap(([x, y], k) => /** @type {Point[]} */ (k ? [[x, points[k - 1][1]], [x, y]] : [[x, y]]));
  return steps.length ? [...steps, [right, steps[steps.length - 1][1]]] : [];
}

/** @param {Pen} pen @param {number} width @param {number} height @param {{ about: MapAbout, drawn: MapDrawn, places: MapPlace[], at: number | null }} picture */
export function paintFront(pen, width, height, { about, drawn, places, at }) {
  const plot = plotOf(width, height), { x, y } = plot, [score, spikes] = scalesOf(about, drawn);
  explained(pen, "map.pareto", plot);
  text(pen, `\u2191 ${score.title}`, 2, 12, { size: 11, bold: true, room: width - 4 });
  box(pen, plot, 0.25);
  for (const mark of marksOf(score, Math.max(2, plot.height / 26))) {
    const up = y + plot.height - 4 - (plot.height - 8) * shareOf(mark, score.ends, false);
    line(pen, [[x, up], [x + plot.width, up]], { alpha: 0.12 });
    text(pen, score.words(mark), x - 5, up + 4, { align: "right", size: 11, alpha: 0.85 });
  }
  let free = -Infinity;
  for (const mark of marksOf(spikes, Math.max(2, plot.width / 40))) {
    const right = x + 4 + (plot.width - 8) * shareOf(mark, spikes.ends, true);
    line(pen, [[right, y], [right, y + plot.height]], { alpha: 0.12 });
    const wide = pen.measureText(spikes.words(mark)).width;
    if (right - wide / 2 < free) continue;
    free = right + wide / 2 + 6;
    text(pen, spikes.words(mark), right, y + plot.height + 14, { align: "center", size: 11, alpha: 0.85 });
  }
  text(pen, "spikes a sample, log scale \u2192", x + plot.width, y + plot.height + 29, { align: "right", size: 11, alpha: 0.85, room: width - 4 });
  const points = places.map((place) => pointOfPlace(plot, about, drawn, place));
  const members = drawn.front.flatMap((k) => (points[k] ? [/** @type {Point} */ (points[k])] : []));
  points.forEach((point, k) => point && spot(pen, point, 2.6, places[k].finding ? null : pen.theme.ink, 0.4));
  line(pen, stairs(members, x + plot.width), { colour: BLUE, width: 1.8 });
  for (const point of members) spot(pen, point, 3.6, BLUE, 1);
  const here = at === null ? null : points[at];
  if (here) spot(pen, here, 6, null, 1, ORANGE);
}

/** @param {Pen} pen @param {Point} at @param {number} r @param {string | null} colour null: a ring @param {number} alpha @param {string} [edge] */
function spot(pen, [x, y], r, colour, alpha, edge) {
  pen.globalAlpha = alpha;
  pen.beginPath();
  pen.arc(x, y, r, 0, 2 * Math.PI);
  if (colour) Object.assign(pen, { fillStyle: colour }), pen.fill();
  else Object.assign(pen, { strokeStyle: edge ?? pen.theme.ink, lineWidth: edge ? 2.5 : 1.2 }), pen.stroke();
  pen.globalAlpha = 1;
}

/**
 * @param {MapAbout} about @param {() => MapDrawn} drawn @param {() => MapPlace[]} places @param {() => number | null} at
 * @param {(place: number) => void} look @param {(place: number) => void} open
 */
export function makeFrontPanel(about, drawn, places, at, look, open) {
  const chart = h("div", { class: "fill chart" });
  /** @type {(Point | null)[]} */ let points = [];
  const drawing = mount(chart, {
    arrange: (_, height) => Math.max(height, 110),
    paint: (pen, width, height) => {
      points = places().map((place) => pointOfPlace(plotOf(width, height), about, drawn(), place));
      paintFront(pen, width, height, { about, drawn: drawn(), places: places(), at: at() });
    },
    label: () => {
      const { front } = drawn(), here = places()[at() ?? -1];
      return `Pareto front of ${front.length} places; the arrow keys go along it, Enter opens a run.${here ? ` At ${placeWords(about, here)}` : ""}`;
    },
    role: "application",
  });
  const { canvas } = drawing, found = (/** @type {MouseEvent} */ event) => nearestPoint(points, pointOf(canvas, event));
  canvas.tabIndex = 0;
  canvas.addEventListener("pointermove", (event) => { const k = found(event); if (k !== null) look(k); });
  canvas.addEventListener("click", (event) => { const k = found(event); if (k !== null) open(k); });
  canvas.addEventListener("keydown", (event) => {
    const turn = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key], { front } = drawn(), now = at();
    if (turn && front.length) look(front[Math.min(Math.max((now === null ? -turn : front.indexOf(now)) + turn, 0), front.length - 1)]);
    else if (event.key === "Enter" && now !== null) open(now);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return { el: panel("front", "Pareto front", chart), show: drawing.redraw, canvas, stop: drawing.stop };
}
