// What the network gets wrong: confusions, the samples of one of them, every class over the run, when it decides.
import { BLUE, GREEN, ORANGE, box, bytesOf, explained, floatsOf, grey, intsOf, line, picture, scale, text } from "./draw.js";
import { drawSignal } from "./answers.js";
import { mount, pointOf } from "./canvas.js";
import { TRAINS_HEIGHT, barAt, drawBars, drawDistances, drawScatter, heightOfBars, heightOfScatter, outputAt, pointAt, wordsOfBar } from "./mistakes.js";
import { counted, percent, readable } from "./numbers.js";
import { STYLE } from "./style.js";
import { MARK, lines, plot, shaded, titled } from "./plots.js";

/** @typedef {import("./types").Pen} Pen @typedef {import("./types").Box} Box */

const TITLE = 20, GAP = 14, THUMB = 34, SMALL = 90;
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

/**
 * What stands above the samples, for each task. `at` finds what a click means, `act` what the cursor does: messages to the kernel.
 * @typedef {{
 *   grid: (frame: any) => [rows: number, columns: number], height: (part: any, width: number) => number,
 *   paint: (pen: Pen, width: number, part: any, chosen: [number, number] | null, cursor: [number, number] | null) => void,
 *   at: (part: any, width: number, point: { x: number, y: number }) => object | null, act: (frame: any, row: number, column: number) => object,
 *   say: (part: any, width: number, point: { x: number, y: number }) => string, hint: string, keys: string, turns?: boolean,
 * }} Kind
 */

const KEYS = "Arrow keys move over the bars, Enter lists their samples.", LIST = "Arrow keys move over the worst samples, Enter shows one in the raster.";
const sampleAt = (/** @type {any} */ frame, /** @type {number} */ _, /** @type {number} */ k) => ({ sample: frame.cell.samples[k].index });

/** @type {Record<string, Kind>} */
const KINDS = {
  confusion: {
    grid: ({ confusion: { shown } }) => [shown.length, shown.length],
    height: (part, width) => placesOf(part, width).y + placesOf(part, width).height,
    paint: (pen, width, part, chosen, cursor) => {
      const what = part.noun === "step" ? "steps: true class by row, predicted by column" : "true class by row, predicted by column";
      if (titled(pen, { x: 6, y: TITLE, width: width - 12, height: 40 }, what, part, "errors.confusions")) drawConfusion(pen, placesOf(part, width), part, chosen, cursor);
    },
    at: (part, width, point) => {
      const cell = cellAt(part, width, point);
      return cell && { cell: [part.shown[cell[0]], part.shown[cell[1]]] };
    },
    act: ({ confusion: { shown } }, row, column) => ({ cell: [shown[row], shown[column]] }),
    say: (part, width, point) => {
      const cell = cellAt(part, width, point);
      return cell ? wordsOfCell(part, ...cell) : "";
    },
    hint: "Click a cell to list its samples.", keys: "Arrow keys move over the confusions, Enter lists their samples.",
  },
  several: {
    grid: ({ several: { shown, kinds } }) => [shown.length, kinds.length],
    height: heightOfBars,
    paint: drawBars,
    at: (part, width, point) => {
      const bar = barAt(part, width, point);
      return bar && { cell: [part.shown[bar[0]], bar[1]] };
    },
    act: ({ several: { shown } }, row, kind) => ({ cell: [shown[row], kind] }),
    say: (part, width, point) => {
      const bar = barAt(part, width, point);
      return bar ? wordsOfBar(part, ...bar) : "";
    },
    hint: "Click a bar to list its samples.", keys: KEYS,
  },
  numbers: {
    grid: ({ cell, numbers }) => [numbers.names.length, cell.samples.length],
    height: heightOfScatter,
    paint: drawScatter,
    at: (part, width, point) => {
      const output = outputAt(part, width, point), sample = pointAt(part, width, point);
      return output !== null ? { cell: [output, 0] } : sample !== null ? { sample } : null;
    },
    act: sampleAt,
    say: (part, width, point) => (pointAt(part, width, point) === null ? "" : `sample ${pointAt(part, width, point)}`),
    hint: "", keys: `${LIST} Up and down change the output.`, turns: true,
  },
  trains: {
    grid: ({ cell }) => [1, cell.samples.length],
    height: () => TRAINS_HEIGHT,
    paint: drawDistances,
    at: () => null, act: sampleAt, say: () => "", hint: "", keys: LIST,
  },
};

/** What is shown of a frame: its part, and how; null before the first look. @param {any} frame @returns {{ part: any, kind: Kind, name: string } | null} */
function topOf(frame) {
  const name = Object.keys(KINDS).find((key) => frame[key]);
  return name ? { part: frame[name], kind: KINDS[name], name } : null;
}

/** The cell of a confusion at a point. @param {any} confusion @param {number} wide @param {{ x: number, y: number }} point @returns {[number, number] | null} */
function cellAt(confusion, wide, point) {
  const { x, y, width, each } = placesOf(confusion, wide), count = confusion.shown?.length ?? 0;
  const row = Math.floor((point.y - y) / each), column = Math.floor((point.x - x) / each);
  return point.x >= x && point.x < x + width && row >= 0 && row < count ? [row, column] : null;
}

/** How many samples stand in a row, and where they begin. @param {any} frame @param {number} width */
function stripOf(frame, width) {
  const top = topOf(frame), per = Math.max(1, Math.floor((width - 12) / (THUMB + 4)));
  const count = frame.cell?.samples.length ?? 0, rows = Math.ceil(count / per);
  return { y: (top ? top.kind.height(top.part, width) : 0) + 30 + TITLE, per, count, height: frame.cell ? TITLE + 14 + rows * (THUMB + 16) : 18 };
}

/**
 * Draws the tab "Errors": click a cell for its samples, a sample to see it in the raster.
 * @param {import("./types").Model} model
 * @returns {import("./types").Part}
 */
export function makeErrors(model) {
  const el = document.createElement("div"), frame = () => frameOf(model), top = () => topOf(frame());
  const chosen = () => model.get("run").view.cell;
  /** @type {[number, number]} */ let cursor = [0, 0];
  const height = (/** @type {number} */ width) => {
    const strip = stripOf(frame(), width), below = [frame().classes, frame().decisions].filter(Boolean).length;
    return strip.y + strip.height + below * (TITLE + SMALL + GAP + 34);
  };
  const { canvas, redraw, stop } = mount(el, {
    role: "application",
    arrange: (width) => (top() ? height(width) : 60),
    label: () => `Errors: ${top()?.part.words ?? "not looked at yet"}. ${frame().cell?.words ?? ""} ${top()?.kind.keys ?? ""}`,
    paint: (pen, width) => paint(pen, width, frame(), chosen(), document.activeElement === canvas ? cursor : null),
  });
  canvas.tabIndex = 0;
  const send = (/** @type {object | null} */ values) => values && model.send({ set: values });
  canvas.addEventListener("pointermove", (event) => {
    const shown = top();
    canvas.title = shown && !shown.part.reason ? shown.kind.say(shown.part, canvas.clientWidth, pointOf(canvas, event)) : "";
  });
  canvas.addEventListener("click", (event) => {
    const point = pointOf(canvas, event), strip = stripOf(frame(), canvas.clientWidth), shown = top();
    const meant = shown && !shown.part.reason && shown.kind.at(shown.part, canvas.clientWidth, point);
    if (meant) return void send(meant);
    const k = Math.floor((point.x - 6) / (THUMB + 4)) + strip.per * Math.floor((point.y - strip.y - 14) / (THUMB + 16));
    if (point.y >= strip.y + 14 && k >= 0 && k < strip.count) send({ sample: frame().cell.samples[k].index });
  });
  canvas.addEventListener("keydown", (event) => {
    const turn = TURNS[event.key], shown = top();
    if (!shown || shown.part.reason || !(turn || event.key === "Enter")) return;
    const [rows, columns] = shown.kind.grid(frame()), within = (/** @type {number} */ k, /** @type {number} */ count) => Math.min(Math.max(k, 0), count - 1);
    if (turn) cursor = [within(cursor[0] + turn[0], rows), within(cursor[1] + turn[1], columns)];
    if (turn?.[0] && shown.kind.turns) send({ cell: [cursor[0], 0] });
    if (!turn && rows && columns) send(shown.kind.act(frame(), ...cursor));
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
export function wordsOfCell({ names, counts, shown, noun = "sample" }, row, column) {
  const count = intsOf(counts)[row * shown.length + column];
  return `${names[row]}${row === column ? ", rightly predicted" : ` taken for ${names[column]}`}: ${counted(count, noun)}`;
}

/** @param {Pen} pen @param {number} width @param {any} frame @param {[number, number] | null} chosen @param {[number, number] | null} cursor */
function paint(pen, width, frame, chosen, cursor) {
  const top = topOf(frame), strip = stripOf(frame, width);
  if (!top) return void text(pen, frame.reason ?? "Looking at the test samples ...", 6, 30, { room: width - 12 });
  top.kind.paint(pen, width, top.part, chosen, cursor);
  lines(pen, top.part.words, { x: 6, y: top.kind.height(top.part, width) + 16, width: width - 12, height: 0 }, 2);
  if (frame.cell) drawSamples(pen, strip, frame.cell, top.kind.act === sampleAt && cursor ? cursor[1] : -1);
  else text(pen, top.kind.hint, 6, strip.y + 8, { size: 11, alpha: 0.8 });
  const left = Math.max(placesOf(frame.confusion ?? frame.classes, width).x, 58);
  const first = { x: left, y: strip.y + strip.height + TITLE, width: width - 10 - left, height: SMALL };
  if (frame.classes && titled(pen, first, "accuracy of each class over the run", frame.classes, "errors.accuracy by class")) drawClasses(pen, first, frame.classes);
  const second = { ...first, y: first.y + SMALL + TITLE + GAP + 24 };
  if (frame.decisions && titled(pen, second, "when does it know? share of samples", frame.decisions, "errors.when does it know")) drawDecisions(pen, second, frame.decisions);
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

/** @param {Pen} pen @param {{ y: number, per: number }} strip @param {any} cell @param {number} cursor the sample that the keyboard is at, or -1 */
function drawSamples(pen, { y, per }, { samples, words }, cursor) {
  explained(pen, "errors.samples", { x: 6, y: y + 9, width: per * (THUMB + 4), height: 0 });
  text(pen, words, 6, y + 4, { size: 11, bold: true, room: per * (THUMB + 4) });
  samples.forEach((/** @type {any} */ sample, /** @type {number} */ k) => {
    const x = 6 + (k % per) * (THUMB + 4), top = y + 14 + Math.floor(k / per) * (THUMB + 16), place = { x, y: top, width: THUMB, height: THUMB };
    if (sample.line) drawSignal(pen, place, sample.line, 1);
    else if (sample.image) picture(pen, sample.image, grey, place);
    else text(pen, String(sample.index), x + THUMB / 2, top + THUMB / 2 + 4, { align: "center", size: 10, room: THUMB });
    box(pen, place);
    if (k === cursor) { Object.assign(pen, { strokeStyle: BLUE, lineWidth: 2 }); pen.strokeRect(x, top, THUMB, THUMB); }
    const note = sample.note ?? (sample.confidence === null ? "" : percent(sample.confidence));
    text(pen, note, x + THUMB / 2, top + THUMB + 11, { align: "center", size: 10, room: THUMB + 3 });
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
