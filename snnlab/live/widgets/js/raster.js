// One sample on its way through the network: its image, the spikes of every layer, the readout traces.
import {
  BLUE, GREEN, ORANGE, VERMILION, arrow, axisBeside, bitOf, box, bytesOf, diverging, dot, explained, fill, floatsOf, grey, intsOf, line, lookOf,
  picture, shapeOf, spikeMarks, text, within,
} from "./draw.js";
import { STRIPS, drawSignal, drawStrips, drawTargets, drawTrains, drawUnscored, isNumbers, lookOfTarget, markOf, targetsIn } from "./answers.js";
import { mount, pointOf } from "./canvas.js";
import { leaderWords, momentOf, pointsUntil } from "./moment.js";
import { Player } from "./player.js";
import { STYLE } from "./style.js";
import { counted } from "./numbers.js";
import { columnUnder, columnsOf, drawCursor, drawPlot, drawTime, timesOf } from "./timeline.js";

/**
 * @typedef {import("./types").Pen} Pen @typedef {import("./types").Box} Box @typedef {import("./types").Scene} Scene
 * @typedef {import("./types").Frame} Frame @typedef {import("./types").Area} Area @typedef {import("./types").Place} Place
 * @typedef {import("./types").Unit} Unit @typedef {import("./types").Point} Point @typedef {import("./types").Moment} Moment
 */

const LEFT = 136, RIGHT = 16, TITLE = 18, AXIS = 24, GAP = 6, IMAGE = 92, LEGEND = 13, GHOST = STYLE.colours[5];
const NARROW = 44; // at the left, for the numbers of an axis alone
const TO_COME = 0.13; // how strong a spike is that comes after the cursor

/**
 * Where everything is; depends only on the scene and the size, so that nothing jumps from frame to frame.
 * @param {Scene} scene @param {number} width @param {number} height @param {boolean} alone without the sample and the legend
 */
function arrangeScene(scene, width, height, alone) {
  const count = scene.layers.length, legendHeight = alone ? 0 : LEGEND * keysIn(scene), left = alone ? NARROW : LEFT;
  const fixed = (TITLE + GAP) * (count + 1 + (scene.input ? 1 : 0)) + AXIS;
  const least = { input: scene.input ? 36 : 0, layer: count > 2 ? 34 : 70, readout: 84 + (scene.task === "step_labels" ? STRIPS : 0) };
  const needed = Math.max(fixed + least.input + least.layer * count + least.readout, alone ? 0 : TITLE + IMAGE + 40 + legendHeight + AXIS + GAP);
  const spare = Math.max(height, needed) - fixed - least.input - least.layer * count - least.readout;
  /** @type {Record<string, Box>} */
  const rows = {};
  let y = 0;
  const add = (/** @type {string} */ name, /** @type {number} */ tall) => {
    rows[name] = { x: left, y: y + TITLE, width: width - left - RIGHT, height: tall };
    y += TITLE + tall + GAP;
  };
  if (scene.input) add("input", least.input + 0.18 * spare);
  for (const name of scene.layers) add(`layer ${name}`, least.layer + ((scene.input ? 0.5 : 0.65) * spare) / count);
  add("readout", least.readout + (count ? 0.32 : 0.8) * spare);
  const bottom = rows.readout.y + rows.readout.height;
  const legend = { x: 8, y: bottom - legendHeight, width: LEFT - 44, height: legendHeight };
  return { rows, legend, height: needed };
}

/** Rows of the legend: the outputs, and one for the dashed targets. @param {Scene} scene */
const keysIn = ({ classes, task }) => (task === "spike_trains" ? 0 : Math.min(classes.length, 10) + (isNumbers(task) ? 1 : 0));

/**
 * The areas in which a unit can be chosen, in keyboard order. `units[row]` is the unit that a row shows.
 * @param {Scene} scene @param {Frame} frame @param {ReturnType<typeof arrangeScene>} places
 * @returns {Area[]}
 */
function areasOf(scene, frame, { rows, legend }) {
  const layers = scene.layers.filter((name) => frame.layers[name]).map((name) => {
    const { order, ...drawn } = frame.layers[name];
    return { name, drawn, box: rows[`layer ${name}`], units: intsOf(order) };
  });
  const { x, y, height } = rows.readout, beside = { x: 56, y, width: x - 60, height }; // the names of the rows of spikes
  const read = scene.task === "spike_trains" ? beside : { ...legend, height: LEGEND * frame.shown.length };
  return scene.readout ? [...layers, { name: scene.readout, box: read, units: frame.shown }] : layers;
}

// ---- sample, layers, readout ----

/**
 * @param {Pen} pen @param {Scene} scene @param {Frame} frame what the network says of the whole sample
 * @param {Moment | null} moment of which it is told instead
 */
function drawSample(pen, { image, signal, short: classes, label, task, drawn }, { prediction, target }, moment) {
  const shape = signal ? { width: IMAGE, height: 0.6 * IMAGE } : shapeOf(image, IMAGE);
  const place = { x: 8, y: TITLE, ...shape }, y = place.y + place.height + 16, room = LEFT - 48;
  explained(pen, "raster.sample", { ...place, width: room, height: place.height + 40 }, 0);
  if (signal) drawSignal(pen, place, signal.values, signal.channels);
  else picture(pen, image, grey, place);
  box(pen, place);
  if (task !== "label") return void (drawn ? ["your drawing"] : (target?.lines ?? [])).forEach((words, k) => text(pen, words, 8, y + 17 * k, { room: LEFT - 32, bold: k === 0 }));
  text(pen, label === null ? "your drawing" : `true: ${classes[label]}`, 8, y, { room: LEFT - 32 });
  if (moment && !moment.atEnd) return void text(pen, `so far: ${classes[moment.leads] ?? "none"}`, 8, y + 17, { room, bold: true });
  if (prediction === undefined) return;
  const right = prediction === label, x = 15 + text(pen, `says: ${classes[prediction]}`, 8, y + 17, { room, bold: true });
  if (label === null) return;
  const mark = right ? [[0, 5], [4, 9], [11, 0]] : [[0, 0], [9, 9], [4.5, 4.5], [9, 0], [0, 9]];
  line(pen, mark.map(([dx, dy]) => [x + dx, y + 8 + dy]), { colour: right ? GREEN : VERMILION, width: 2.5 });
}

/**
 * A layer, and over it, pale, what it did before a knob was taken hold of.
 * @param {Pen} pen @param {Scene} scene @param {Area} area @param {Frame | null} before
 * @param {string} pointed the unit under the cursor, in words
 * @param {Moment | null} moment up to which it is shown
 */
function drawLayer(pen, scene, { name, drawn, box: place, units }, before, pointed, moment) {
  if (!drawn) return;
  const old = before?.layers[name], bits = old?.bits, columns = columnsOf(scene);
  const same = bits && drawn.bits && bits.byteLength === drawn.bits.byteLength;
  const then = before && moment && momentOf(scene, before, moment.column);
  const taken = pointed ? drawRight(pen, place, pointed) : same ? drawBefore(pen, place, old.title, then?.spikes[name]) : 0;
  drawPlot(pen, scene, place, titleAt(drawn.title, moment, name), drawn.bits ? "raster.spikes" : "raster.outputs", taken && taken + 10);
  if (same) spikeMarks(pen, bits, columns, units.length, place, { colour: GHOST, alpha: 0.55, to: moment?.column });
  if (drawn.bits) spikesUntil(pen, drawn.bits, columns, units.length, place, moment);
  else if (drawn.image) imageUntil(pen, drawn.image, place, moment);
  if (place.height < 12) return;
  const look = /** @type {const} */ ({ align: "right", size: 10, alpha: 0.7 });
  text(pen, String(units[0]), place.x - 4, place.y + 8, look);
  text(pen, String(units[units.length - 1]), place.x - 4, place.y + place.height, look);
}

/** What goes in: spikes, or numbers. @param {Pen} pen @param {Scene} scene @param {import("./types").Input} input @param {Box} place @param {Moment | null} moment */
function drawInput(pen, scene, { units, title, bits, values, image }, place, moment) {
  drawPlot(pen, scene, place, titleAt(title, moment, "input"), "raster.input");
  if (bits) spikesUntil(pen, bits, columnsOf(scene), units, place, moment);
  else if (values) drawSignal(pen, place, values, units, true, moment?.share);
  else if (image) imageUntil(pen, image, place, moment);
}

/** The title of a layer, with the spikes until now beside all. @param {string} title @param {Moment | null} moment @param {string} name */
function titleAt(title, moment, name) {
  const count = moment?.spikes[name];
  return count === undefined || moment?.atEnd ? title : title.replace(/: ([\d,]+ spikes?)/, `: ${count.toLocaleString("en")} of $1 so far`);
}

/**
 * All spikes, or those until a moment: the newest ones stand out, those to come are pale.
 * @param {Pen} pen @param {DataView} bits @param {number} columns @param {number} units @param {Box} place @param {Moment | null} moment
 */
function spikesUntil(pen, bits, columns, units, place, moment) {
  if (!moment) return spikeMarks(pen, bits, columns, units, place);
  const to = moment.column, from = Math.max(to - 1, 0);
  spikeMarks(pen, bits, columns, units, place, { from: to, alpha: TO_COME });
  spikeMarks(pen, bits, columns, units, place, { to: from });
  spikeMarks(pen, bits, columns, units, place, { from, to, colour: VERMILION, large: true });
}

/** @param {Pen} pen @param {import("./types").Diverging} image @param {Box} place @param {Moment | null} moment */
function imageUntil(pen, image, place, moment) {
  picture(pen, image, diverging, place);
  if (!moment) return;
  const seen = moment.share * place.width;
  fill(pen, place.x + seen, place.y, place.width - seen, place.height, { colour: pen.theme.paper, alpha: 1 - TO_COME });
}

/** Words at the right above a plot; how wide they are. @param {Pen} pen @param {Box} place @param {string} words */
const drawRight = (pen, { x, y, width }, words) => text(pen, words, x + width, y - 5, { align: "right", size: 11 });

/**
 * What the pale spikes are, and how many; how wide that is.
 * @param {Pen} pen @param {Box} place @param {string} title @param {number | undefined} sofar those until now
 */
function drawBefore(pen, place, title, sofar) {
  const count = sofar === undefined ? title.match(/[\d,]+ spikes?/)?.[0] : counted(sofar, "spike");
  const width = 12 + drawRight(pen, place, `before: ${count ?? "other"}`);
  fill(pen, place.x + place.width - width, place.y - 13, 8, 8, { colour: GHOST });
  return width;
}

/**
 * @param {Pen} pen @param {Scene} scene @param {Frame} frame @param {ReturnType<typeof arrangeScene>} places
 * @param {Frame | null} before @param {Moment | null} moment up to which it is shown @param {boolean} alone without the legend
 */
function drawReadout(pen, scene, frame, { rows: { readout: whole }, legend }, before, moment, alone) {
  const { shown, prediction } = frame;
  const values = floatsOf(frame.readout), count = shown.length, winner = moment ? moment.leads : prediction, { target } = frame;
  const strips = target?.kind === "step_labels" ? STRIPS : 0, place = { ...whole, y: whole.y + strips, height: whole.height - strips };
  if (target?.kind === "step_labels") drawStrips(pen, scene, target, whole, moment);
  drawPlot(pen, scene, whole, readoutTitle(scene, frame, moment), "raster.readout");
  if (frame.target?.kind === "spike_trains") return drawTrains(pen, scene, frame.target, place, shown, moment);
  if (!alone) explained(pen, "raster.readout", legend, 0);
  const ends = [...targetsIn(frame), ...(isNumbers(scene.task) ? [] : [0])]; // targets may be far from 0
  const low = values.reduce((a, b) => Math.min(a, b), Math.min(...ends)), high = values.reduce((a, b) => Math.max(a, b), Math.max(...ends));
  const room = 0.16 * (high - low || 1); // for the label above the highest point
  const at = axisBeside(pen, place, low - 0.3 * room, high + room, Math.max(2, place.height / 40));
  const x = timesOf(scene, place, values.length / count), points = moment ? pointsUntil(scene, moment.column, x.length) : x.length;
  const former = isNumbers(scene.task) ? shown[0] : winner;
  if (before && former >= 0) drawFormer(pen, before, place, x, at, former, points);
  const traces = shown.map((k, c) => {
    const trace = x.slice(0, points).map((px, t) => /** @type {Point} */ ([px, at(values[t * count + c])]));
    return { k, points: moment && moment.column ? [...trace, /** @type {Point} */ ([place.x + moment.share * place.width, at(moment.readout[c])])] : trace };
  });
  drawTraces(pen, scene, frame, traces, winner, alone ? null : legend);
  if (isNumbers(scene.task)) {
    drawTargets(pen, frame, place, x, at);
    if (!alone && target) drawLegend(pen, legend, count, lookOfTarget(shown[0], count), "target", false);
  } else drawNames(pen, scene, frame, place, traces, moment);
}

/**
 * @param {Pen} pen @param {Scene} scene @param {Frame} frame @param {{ k: number, points: Point[] }[]} traces
 * @param {number} winner @param {Box | null} legend
 */
function drawTraces(pen, { short: classes, task }, { target }, traces, winner, legend) {
  traces.forEach(({ k, points }, row) => {
    const wins = target?.kind === "several_labels" ? target.said.includes(k) : k === winner;
    const look = isNumbers(task) ? { colour: lookOf(k).colour, dash: [], width: 1.8 } : lookOfClass(k, wins);
    line(pen, points, look);
    if (legend) drawLegend(pen, legend, row, look, markOf(target, k) + classes[k], wins);
  });
}

/**
 * The class that leads, or that is predicted, and the true one, by their names.
 * @param {Pen} pen @param {Scene} scene @param {Frame} frame @param {Box} place @param {{ k: number, points: Point[] }[]} traces @param {Moment | null} moment
 */
function drawNames(pen, { short: classes, label }, { prediction }, place, traces, moment) {
  for (const { k, points: trace } of traces) {
    if (moment) {
      if (k === moment.leads && trace.length) drawPeak(pen, place, trace.slice(-1), k, classes[k], -7);
    } else if (k === prediction) drawPeak(pen, place, trace, k, classes[k], -7);
    else if (k === label) drawPeak(pen, place, trace, k, `true: ${classes[k]}`, 16);
  }
}

/** What the readout says, of the whole sample or until a moment. @param {Scene} scene @param {Frame} frame @param {Moment | null} moment */
function readoutTitle(scene, { prediction, moments, target }, moment) {
  const { classes, label, task, drawn } = scene;
  if (task === "step_labels" && moment?.atEnd === false) return `readout after ${moment.words}: ${leaderWords(scene, moment)} (${moments.words})`;
  if (task !== "label") return `readout${drawn ? " of your drawing" : ""}${target ? `: ${target.words}` : ""}`;
  if (moment?.atEnd === false) return `readout after ${moment.words}: ${leaderWords(scene, moment)} (${moments.words})`;
  return `readout: ${classes[prediction]} is highest${label === null || prediction === label ? "" : `, true is ${classes[label]}`}`;
}

/**
 * The trace of the class that wins now, as it was before.
 * @param {Pen} pen @param {Frame} before @param {Box} place @param {number[]} x @param {(value: number) => number} at
 * @param {number} winner @param {number} points how many of them are shown
 */
function drawFormer(pen, before, place, x, at, winner, points) {
  const column = before.shown.indexOf(winner), values = floatsOf(before.readout), count = before.shown.length;
  if (column < 0 || values.length / count !== x.length) return;
  within(pen, place, () => line(pen, x.slice(0, points).map((px, t) => [px, at(values[t * count + column])]), { colour: GHOST, width: 3, alpha: 0.6 }));
}

/** The winner is solid and thick, as in the SVG picture. @param {number} k @param {boolean} wins */
const lookOfClass = (k, wins) => (wins ? { ...lookOf(k), dash: [], width: 3 } : { ...lookOf(k), width: 1.4 });

/** @param {Pen} pen @param {Box} place @param {Point[]} points @param {number} k @param {string} words @param {number} below */
function drawPeak(pen, place, points, k, words, below) {
  const [x, y] = points.reduce((best, point) => (point[1] < best[1] ? point : best));
  dot(pen, x, y, lookOf(k).colour);
  const align = x > place.x + place.width - 80 ? "right" : x < place.x + 80 ? "left" : "center";
  const inside = Math.min(Math.max(y + below, place.y + 11), place.y + place.height - 3); // not into the numbers of the axis
  text(pen, words, x, inside, { align, bold: true, halo: true, room: 140 });
}

/** @param {Pen} pen @param {Box} legend @param {number} row @param {import("./types").Line} look @param {string} name @param {boolean} wins */
function drawLegend(pen, { x, y, width }, row, look, name, wins) {
  const middle = y + (row + 0.5) * LEGEND;
  line(pen, [[x + 2, middle], [x + 24, middle]], look);
  text(pen, name, x + 30, middle + 4, { size: 11, bold: wins, room: width - 32 });
}

/** @param {Pen} pen @param {number} width */
function drawBadge(pen, width) {
  const words = "preview: not trained yet", x = width - RIGHT - 4;
  pen.font = `600 11px ${pen.theme.font}`;
  const wide = pen.measureText(words).width;
  fill(pen, x - wide - 5, TITLE + 3, wide + 8, 15, { colour: pen.theme.paper }); // over the spikes there
  text(pen, words, x, TITLE + 14, { align: "right", size: 11, bold: true });
  pen.setLineDash([4, 3]);
  box(pen, { x: x - wide - 5, y: TITLE + 3, width: wide + 8, height: 15 }, 0.8);
  pen.setLineDash([]);
}

// ---- choosing a neuron ----

/**
 * A band over its row, with an arrow; over an image, whose colours have a meaning, two lines instead.
 * @param {Pen} pen @param {Area} area @param {number} row @param {string} colour
 */
function drawChoice(pen, { drawn, box: place, units }, row, colour) {
  const { x, width } = place, y = place.y + ((row + 0.5) * place.height) / units.length;
  const height = Math.max(place.height / units.length, 3);
  if (!drawn || drawn.bits) fill(pen, x, y - height / 2, width, height, { colour, alpha: 0.35 });
  else for (const edge of [y - height / 2 - 1, y + height / 2]) fill(pen, x, edge, width, 1, { colour: "#000" });
  arrow(pen, x - 1, y, colour);
}

/** @param {Area} area @param {number} row @param {number} columns */
function wordsOf({ name, drawn, units }, row, columns) {
  if (!drawn || !drawn.bits) return `${name} unit ${units[row]}`;
  const bytes = bytesOf(drawn.bits);
  let count = 0;
  for (let t = 0; t < columns; t++) if (bitOf(bytes, t * units.length + row)) count++;
  return `${name} neuron ${units[row]}, ${counted(count, "spike")}`;
}

/**
 * Where an arrow key leads; after the last row of a layer comes the first row of the next.
 * @param {Area[]} areas @param {Place} place @param {string} key
 * @returns {Place}
 */
export function moved(areas, { area, row }, key) {
  const last = areas.length - 1, next = row + (key === "ArrowDown" ? 1 : -1);
  if (key === "ArrowLeft") return { area: Math.max(area - 1, 0), row: 0 };
  if (key === "ArrowRight") return { area: Math.min(area + 1, last), row: 0 };
  if (next < 0) return area ? { area: area - 1, row: areas[area - 1].units.length - 1 } : { area, row };
  if (next < areas[area].units.length) return { area, row: next };
  return area < last ? { area: area + 1, row: 0 } : { area, row };
}

/** @param {Area[]} areas @param {{ x: number, y: number }} point @returns {Place | null} */
function placeUnder(areas, point) {
  for (let k = 0; k < areas.length; k++) {
    const { box: { x, y, width, height }, units } = areas[k], right = point.x - x, down = point.y - y;
    if (right >= 0 && right < width && down >= 0 && down < height)
      return { area: k, row: Math.floor((down / height) * units.length) };
  }
  return null;
}

/** @param {Unit | null | undefined} a @param {Unit | null | undefined} b */
const same = (a, b) => a === b || Boolean(a && b && a.layer === b.layer && a.unit === b.unit);

/**
 * Draws `scenes.raster_scene` and `scenes.raster_frame`. A click or the Enter key selects a neuron; dragging along the
 * readout or the axis of time shows a moment, and `player` runs through all of them.
 */
export class Raster {
  /**
   * @param {import("./types").Model} model
   * @param {((() => void)) | null} chosen called when a neuron has been selected here; null: none can be, and all of it is
   *     the axis of time. Then it stands alone, without the sample and the legend.
   */
  constructor(model, chosen) {
    this.model = model;
    this.chosen = chosen;
    this.alone = chosen === null;
    this.player = new Player(() => columnsOf(this.scene) || 0);
    this.dragging = this.dragged = false; // along the axis of time; it was, from a press to the click that ends it
    /** @type {Place | null} */ this.cursor = null;
    /** @type {Unit | null | undefined} */ this.asked = undefined; // chosen here, not yet confirmed by a frame
    /** @type {{ scene: Scene, frame: Frame } | null} */ this.before = null; // when a knob was taken hold of
    this.el = document.createElement("div");
    const { canvas, redraw, stop } = mount(this.el, {
      role: "application",
      arrange: (width, height) => (this.scene.steps ? arrangeScene(this.scene, width, height, this.alone).height : 0),
      paint: (pen, width, height) => this.paint(pen, width, height),
      label: () => this.label(),
    });
    this.canvas = canvas;
    this.redraw = redraw;
    const confirm = () => this.confirm();
    model.on("change:scene", redraw);
    model.on("change:frame", confirm);
    this.player.watch(redraw);
    this.stop = () => {
      stop();
      this.player.end();
      model.off("change:scene", redraw);
      model.off("change:frame", confirm);
    };
    canvas.tabIndex = 0;
    canvas.addEventListener("pointerdown", (event) => this.take(event));
    canvas.addEventListener("pointermove", (event) => this.point(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (this.dragging = false));
    canvas.addEventListener("pointerleave", () => this.move(null));
    canvas.addEventListener("click", (event) => {
      if (!this.dragged) this.choose(placeUnder(this.areas, pointOf(canvas, event)));
    });
    canvas.addEventListener("keydown", (event) => this.press(event));
    canvas.addEventListener("blur", () => this.move(null));
  }

  /** @returns {Scene} */
  get scene() { return this.model.get("scene"); }
  /** @returns {Frame} */
  get frame() { return this.model.get("frame"); }
  get selected() { return this.asked === undefined ? this.frame.neuron : this.asked; }
  get areas() {
    return this.frame.readout && !this.alone ? areasOf(this.scene, this.frame, this.places) : [];
  }
  get places() { return arrangeScene(this.scene, this.canvas.clientWidth, this.canvas.clientHeight, this.alone); }
  get moment() {
    const { column } = this.player;
    return column === null || !this.frame.readout ? null : momentOf(this.scene, this.frame, column);
  }

  /** Keep what is shown now, to draw it pale behind what comes. */
  remember() {
    this.before = this.frame.readout ? { scene: this.scene, frame: this.frame } : null;
  }

  forget() {
    this.before = null;
    this.redraw();
  }

  confirm() {
    if (same(this.asked, this.frame.neuron)) this.asked = undefined;
    this.redraw();
  }

  /** @param {Place | null} place */
  move(place) {
    this.cursor = place;
    this.redraw();
  }

  /** Whether a point is where one shows a moment. @param {{ x: number, y: number }} point */
  isTime({ x, y }) {
    const { x: left, y: top, width, height } = this.places.rows.readout;
    return x >= left - 8 && x <= left + width + 8 && (this.alone || y >= top) && y <= top + height + AXIS;
  }

  /** @param {PointerEvent} event */
  take(event) {
    this.dragged = this.dragging = event.button === 0 && Boolean(this.frame.readout) && this.isTime(pointOf(this.canvas, event));
    if (!this.dragging) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.point(event);
  }

  /** @param {PointerEvent} event */
  point(event) {
    if (!this.frame.readout) return;
    const point = pointOf(this.canvas, event);
    if (this.dragging) this.player.seek(columnUnder(this.scene, this.places.rows.readout, point.x));
    const { style } = this.canvas;
    if (this.isTime(point)) style.cursor = "ew-resize";
    else if (style.cursor === "ew-resize") style.cursor = ""; // another cursor is another's
    this.move(placeUnder(this.areas, point));
  }

  /** @param {Place | null} place */
  choose(place) {
    if (!this.chosen) return;
    const area = place && this.areas[place.area];
    if (!area && !this.selected) return;
    this.asked = area ? { layer: area.name, unit: area.units[place.row] } : null;
    this.model.send({ select: this.asked });
    if (area) this.chosen?.();
    this.redraw();
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    if (this.player.press(event) || this.alone) return;
    const areas = this.areas, start = areas.length ? { area: 0, row: 0 } : null;
    if (event.key === "Escape") {
      this.move(null);
      this.choose(null);
    } else if (event.key === "Enter") this.choose((this.cursor ??= start));
    else if (event.key.startsWith("Arrow")) this.move(this.cursor ? moved(areas, this.cursor, event.key) : start);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  label() {
    const area = this.cursor && this.areas[this.cursor.area];
    const cursor = this.cursor && area ? ` Cursor: ${wordsOf(area, this.cursor.row, columnsOf(this.scene))}.` : "";
    const { unit, activity } = /** @type {import("./types").About} */ (this.model.get("about")).nouns;
    const keys = this.alone ? "" : ` Arrow keys move over the ${unit}s, Enter selects, Escape clears.`;
    const preview = this.frame.preview ? " This is a preview: no training step has used the new value yet." : "";
    const behind = this.before?.scene === this.scene ? " Behind it, pale, is what was before a knob was moved." : "";
    const leads = this.moment ? leaderWords(this.scene, this.moment) : "", now = leads ? ` After ${this.moment?.words}: ${leads}.` : "";
    return `${activity} of one sample: ${this.frame.summary ?? "not computed yet"}.${preview}${behind}${now}${cursor}${keys} A full stop plays it in slow motion.`;
  }

  /** @param {Pen} pen @param {number} width @param {number} height */
  paint(pen, width, height) {
    const { scene, frame, selected, cursor, moment, alone } = this, places = arrangeScene(scene, width, height, alone), columns = columnsOf(scene);
    const before = this.before?.scene === scene ? this.before.frame : null;
    if (!alone) drawSample(pen, scene, frame, moment);
    if (scene.input) drawInput(pen, scene, scene.input, places.rows.input, moment);
    if (!frame.readout) return;
    const areas = areasOf(scene, frame, places);
    const under = cursor && areas[cursor.area];
    for (const area of areas) drawLayer(pen, scene, area, before, cursor && area === under ? wordsOf(area, cursor.row, columns).slice(area.name.length + 1) : "", moment);
    drawReadout(pen, scene, frame, places, before, moment, alone);
    drawUnscored(pen, scene, Object.values(places.rows));
    drawTime(pen, scene, places.rows.readout);
    if (moment) drawCursor(pen, moment, Object.values(places.rows)[0], places.rows.readout);
    const row = (/** @type {Area} */ area) => (selected && selected.layer === area.name ? Array.from(area.units).indexOf(selected.unit) : -1);
    for (const area of areas) if (row(area) >= 0) drawChoice(pen, area, row(area), BLUE);
    if (under) drawChoice(pen, under, cursor.row, ORANGE);
    if (frame.preview) drawBadge(pen, width);
  }
}
