// What the network gets wrong: confusions, the samples of one of them, every class over the run, when it decides.
import { BLUE, GREEN, ORANGE, box, bytesOf, explained, floatsOf, grey, intsOf, line, picture, scale, text } from "./draw.js";
import { mount, pointOf } from "./canvas.js";
import { counted, percent, readable } from "./numbers.js";
import { STYLE } from "./style.js";
import { MARK, lines, plot, shaded, titled } from "./plots.js";

/** @typedef {import("./types").Pen} Pen @typedef {import("./types").Box} Box */

const TITLE = 20, GAP = 14, THUMB = 34, SMALL = 90;
const KEYS = "Arrow keys move over the confusions, Enter lists their samples.";
/** @type {Record<string, [number, number]>} */
const TURNS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/** The frame of this tab, or an empty one while another is seen. @param {import("./types").Model} model */
const frameOf = (model) => (model.get("tab").tab === "Errors" ? model.get("tab") : {});

/** @param {any} confusion @param {number} width */
function placesOf(confusion, width) {
  const count = confusion?.shown?.length ?? 10, longest = Math.max(0, ...(confusion?.short ?? []).map((/** @type {string} */ name) => name.length));
  const left = count > 20 ? 10 : Math.min(14 + 6.5 * longest, 110), size = Math.min(width - left - 44, 300), y = TITLE + 26;
  return { x: left, y, width: size, height: size, each: size / count };
}

/** How many samples stand in a row, and where they begin. @param {any} frame @param {number} width */
function stripOf(frame, width) {
  const { y, height } = placesOf(frame.confusion, width), per = Math.max(1, Math.floor((width - 12) / (THUMB + 4)));
  const count = frame.cell?.samples.length ?? 0, rows = Math.ceil(count / per);
  return { y: y + height + 30 + TITLE, per, count, height: frame.cell ? TITLE + 14 + rows * (THUMB + 16) : 18 };
}

/**
 * Draws the tab "Errors": click a cell for its samples, a sample to see it in the raster.
 * @param {import("./types").Model} model
 * @returns {import("./types").Part}
 */
export function makeErrors(model) {
  const el = document.createElement("div"), frame = () => frameOf(model);
  const chosen = () => model.get("run").view.cell;
  /** @type {[number, number]} */ let cursor = [0, 0];
  const height = (/** @type {number} */ width) => {
    const strip = stripOf(frame(), width);
    return strip.y + strip.height + 2 * (TITLE + SMALL + GAP + 34);
  };
  const { canvas, redraw, stop } = mount(el, {
    role: "application",
    arrange: (width) => (frame().confusion ? height(width) : 60),
    label: () => `Errors: ${frame().confusion?.words ?? "not looked at yet"}. ${frame().cell?.words ?? ""} ${KEYS}`,
    paint: (pen, width) => paint(pen, width, frame(), chosen(), document.activeElement === canvas ? cursor : null),
  });
  canvas.tabIndex = 0;
  const list = () => frame().confusion?.shown ?? [];
  const choose = (/** @type {number} */ row, /** @type {number} */ column) => model.send({ set: { cell: [list()[row], list()[column]] } });
  const cellAt = (/** @type {{ x: number, y: number }} */ point) => {
    const { x, y, width, each } = placesOf(frame().confusion, canvas.clientWidth);
    const row = Math.floor((point.y - y) / each), column = Math.floor((point.x - x) / each);
    return point.x >= x && point.x < x + width && row >= 0 && row < list().length ? { row, column } : null;
  };
  canvas.addEventListener("pointermove", (event) => {
    const cell = frame().confusion?.shown && cellAt(pointOf(canvas, event));
    canvas.title = cell ? wordsOfCell(frame().confusion, cell.row, cell.column) : "";
  });
  canvas.addEventListener("click", (event) => {
    const point = pointOf(canvas, event), cell = cellAt(point), strip = stripOf(frame(), canvas.clientWidth);
    if (cell) return choose(cell.row, cell.column);
    const k = Math.floor((point.x - 6) / (THUMB + 4)) + strip.per * Math.floor((point.y - strip.y - 14) / (THUMB + 16));
    if (point.y >= strip.y + 14 && k >= 0 && k < strip.count) model.send({ set: { sample: frame().cell.samples[k].index } });
  });
  canvas.addEventListener("keydown", (event) => {
    const turn = TURNS[event.key], last = list().length - 1, within = (/** @type {number} */ k) => Math.min(Math.max(k, 0), last);
    if (turn) cursor = [within(cursor[0] + turn[0]), within(cursor[1] + turn[1])];
    else if (event.key === "Enter" && last >= 0) choose(...cursor);
    else return;
    redraw();
    event.preventDefault();
    event.stopPropagation();
  });
  for (const name of ["focus", "blur"]) canvas.addEventListener(name, redraw);
  const events = ["change:tab", "change:run"];
  for (const event of events) model.on(event, redraw);
  return { el, stop: () => { stop(); for (const event of events) model.off(event, redraw); } };
}

/** A cell with the whole names of its classes: many, or long ones, stand nowhere else. @param {any} confusion @param {number} row @param {number} column */
export function wordsOfCell({ names, counts, shown }, row, column) {
  const count = intsOf(counts)[row * shown.length + column];
  return `${names[row]}${row === column ? ", rightly predicted" : ` taken for ${names[column]}`}: ${counted(count, "sample")}`;
}

/** @param {Pen} pen @param {number} width @param {any} frame @param {[number, number] | null} chosen @param {[number, number] | null} cursor */
function paint(pen, width, frame, chosen, cursor) {
  if (!frame.confusion) return void text(pen, frame.reason ?? "Looking at the test samples ...", 6, 30, { room: width - 12 });
  const place = placesOf(frame.confusion, width), strip = stripOf(frame, width);
  const head = { ...place, x: 6, y: TITLE, width: width - 12 };
  if (titled(pen, head, "true class by row, predicted by column", frame.confusion, "errors.confusions")) drawConfusion(pen, place, frame.confusion, chosen, cursor);
  lines(pen, frame.confusion.words, { x: 6, y: place.y + place.height + 16, width: width - 12, height: 0 }, 2);
  if (frame.cell) drawSamples(pen, strip, frame.cell);
  else text(pen, "Click a cell to list its samples.", 6, strip.y + 8, { size: 11, alpha: 0.8 });
  const first = { x: Math.max(place.x, 58), y: strip.y + strip.height + TITLE, width: width - 10 - Math.max(place.x, 58), height: SMALL };
  if (titled(pen, first, "accuracy of each class over the run", frame.classes, "errors.accuracy by class")) drawClasses(pen, first, frame.classes);
  const second = { ...first, y: first.y + SMALL + TITLE + GAP + 24 };
  if (titled(pen, second, "when does it know? share of samples", frame.decisions, "errors.when does it know")) drawDecisions(pen, second, frame.decisions);
}

/** @param {Pen} pen @param {Box & { each: number }} place @param {any} confusion @param {[number, number] | null} chosen @param {[number, number] | null} cursor */
function drawConfusion(pen, place, { shown, short, counts, shade, accuracy, never }, chosen, cursor) {
  const { x, y, width, each } = place, numbers = intsOf(counts), n = shown.length;
  shaded(pen, place, { rows: n, columns: n, bytes: shade });
  const bytes = bytesOf(shade), size = Math.min(11, each * 0.45);
  for (let row = 0; row < n; row++) {
    const middle = y + (row + 0.5) * each + 4;
    if (each >= 11) {
      text(pen, short[row], x - 5, middle, { align: "right", size: 11, room: x - 8 });
      text(pen, short[row], x + (row + 0.5) * each, y - 6, { align: "center", size: 11, room: each + 6, alpha: never.includes(row) ? 0.4 : 1 });
      if (accuracy[row] !== null) text(pen, percent(accuracy[row]), x + width + 5, middle, { size: 11 });
    }
    for (let column = 0; column < n && size >= 7; column++) {
      const k = row * n + column;
      if (numbers[k]) text(pen, String(numbers[k]), x + (column + 0.5) * each, middle - 1, { align: "center", size, colour: bytes[k] > 130 ? STYLE.paper.light : STYLE.ink.light });
    }
  }
  const frameCell = (/** @type {[number, number]} */ [row, column], /** @type {string} */ colour) => {
    Object.assign(pen, { strokeStyle: colour, lineWidth: 2 });
    pen.strokeRect(x + column * each, y + row * each, each, each);
  };
  if (chosen) frameCell([shown.indexOf(chosen[0]), shown.indexOf(chosen[1])], MARK);
  if (cursor) frameCell(cursor, BLUE);
}

/** @param {Pen} pen @param {{ y: number, per: number }} strip @param {any} cell */
function drawSamples(pen, { y, per }, { samples, words }) {
  explained(pen, "errors.samples", { x: 6, y: y + 9, width: per * (THUMB + 4), height: 0 });
  text(pen, words, 6, y + 4, { size: 11, bold: true });
  samples.forEach((/** @type {any} */ sample, /** @type {number} */ k) => {
    const x = 6 + (k % per) * (THUMB + 4), top = y + 14 + Math.floor(k / per) * (THUMB + 16), place = { x, y: top, width: THUMB, height: THUMB };
    if (sample.image) picture(pen, sample.image, grey, place);
    else text(pen, String(sample.index), x + THUMB / 2, top + THUMB / 2 + 4, { align: "center", size: 10, room: THUMB });
    box(pen, place);
    if (sample.confidence !== null) text(pen, percent(sample.confidence), x + THUMB / 2, top + THUMB + 11, { align: "center", size: 10 });
  });
}

/** @param {Pen} pen @param {Box} place @param {any} classes */
function drawClasses(pen, place, { image, short, steps, full, absent }) {
  const blue = (/** @type {number} */ share) => [255 - 255 * share, 255 - 141 * share, 255 - 77 * share];
  const colour = (/** @type {number} */ byte) => (byte === absent ? [200, 200, 200] : blue(byte / full));
  picture(pen, image, colour, place);
  box(pen, place, 0.25);
  const each = place.height / short.length;
  const look = /** @type {const} */ ({ align: "right", size: Math.min(11, each), room: place.x - 8 });
  if (each >= 8) short.forEach((/** @type {string} */ name, /** @type {number} */ k) => text(pen, name, place.x - 5, place.y + (k + 0.5) * each + 4, look));
  const ends = /** @type {[number, number, CanvasTextAlign][]} */ ([[steps[0], place.x, "left"], [steps[steps.length - 1], place.x + place.width, "right"]]);
  for (const [step, x, align] of ends) text(pen, `step ${readable(step, 7)}`, x, place.y + place.height + 14, { align, size: 11, alpha: 0.8 });
}

/** @param {Pen} pen @param {Box} place @param {any} decisions */
function drawDecisions(pen, place, { final, right, cell, steps, dt, median, words }) {
  const decided = floatsOf(final), good = floatsOf(right), unit = dt || 1;
  const xs = Float32Array.from(decided, (_, k) => Math.min((k + 1) * cell, steps) * unit);
  const drawn = [{ ys: good, look: { colour: BLUE, width: 1.8 } }, { ys: decided, look: { colour: ORANGE, dash: [7, 4], width: 1.8 } }];
  const { at } = plot(pen, place, xs, drawn, { low: 0, high: 1, unit: dt ? "ms" : "steps" });
  if (median !== null) line(pen, [[at(median), place.y], [at(median), place.y + place.height]], { colour: GREEN, dash: [2, 3] });
  const key = scale(0, 1, place.x, place.x + place.width);
  line(pen, [[key(0.02), place.y + 10], [key(0.1), place.y + 10]], { colour: BLUE, width: 2 });
  text(pen, "right so far", key(0.12), place.y + 14, { size: 10, halo: true });
  line(pen, [[key(0.5), place.y + 10], [key(0.58), place.y + 10]], { colour: ORANGE, dash: [7, 4], width: 2 });
  text(pen, "final and right", key(0.6), place.y + 14, { size: 10, halo: true });
  lines(pen, words, { x: 6, y: place.y + place.height + 32, width: place.x + place.width - 6, height: 0 }, 2);
}
