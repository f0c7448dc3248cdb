// One neuron: its voltage on the time axis of the sample, its spikes, its weights.
import { BLUE, VERMILION, axisBeside, bitOf, box, bytesOf, diverging, explained, fill, floatsOf, intsOf, line, picture, scaleBar, shapeOf, spikeMarks, text } from "./draw.js";
import { mount } from "./canvas.js";
import { bars, lines, plot, scatter, symbol, titled } from "./plots.js";
import { STYLE } from "./style.js";
import { columnsOf, drawPlot, drawTime, timesOf } from "./timeline.js";

/** @typedef {import("./types").Pen} Pen @typedef {import("./types").Box} Box */

const LEFT = 46, RIGHT = 10, TITLE = 46, AXIS = 24, VOLTAGE = 120, WEIGHTS = 132, SMALL = 96, MORE = 2 * (SMALL + 62) + 200;

/**
 * Draws `scenes.neuron_frame`.
 * @param {import("./types").Model} model
 * @returns {import("./types").Part}
 */
export function makeNeuron(model) {
  const el = document.createElement("div");
  const { unit, state } = /** @type {import("./types").About} */ (model.get("about")).nouns;
  const neuron = () => model.get("frame").neuron, scene = () => model.get("scene");
  const { redraw, stop } = mount(el, {
    role: "img",
    arrange: () => TITLE + VOLTAGE + AXIS + TITLE + WEIGHTS + MORE,
    label: () => (neuron() ? `${state} and weights: ${neuron().title}` : `No ${unit} is selected.`),
    paint: (pen, width) => {
      const place = { x: LEFT, y: TITLE, width: width - LEFT - RIGHT, height: VOLTAGE };
      const below = TITLE + VOLTAGE + AXIS + TITLE + (neuron() ? WEIGHTS : 0);
      drawMore(pen, width, below, model.get("tab").tab === "Look inside" ? model.get("tab") : {}, neuron());
      if (!neuron()) return drawHint(pen, place, unit);
      const [name, facts = ""] = neuron().title.split(/: (.*)/s);
      text(pen, name, 6, 12, { size: 11, bold: true, room: width - 12 });
      lines(pen, facts, { x: 6, y: 26, width: width - 12, height: 0 }, 2, /(?<=, )/);
      const key = neuron().spikes ? "inside.voltage" : "inside.output";
      explained(pen, key, place, TITLE);
      drawPlot(pen, scene(), place, "", key);
      drawTime(pen, scene(), place);
      if (neuron().trace) drawVoltage(pen, scene(), neuron(), place);
      const { spikes, weights } = neuron();
      if (spikes) spikeMarks(pen, spikes, columnsOf(scene()), 1, { ...place, y: place.y + 3, height: 9 }, { colour: VERMILION });
      if (weights) drawWeights(pen, weights, { x: 4, y: TITLE + VOLTAGE + AXIS + TITLE, width: width - 8, height: WEIGHTS - 30 });
    },
  });
  const events = ["change:frame", "change:tab"];
  for (const event of events) model.on(event, redraw);
  return { el, stop: () => { stop(); for (const event of events) model.off(event, redraw); } };
}

/**
 * What many samples tell: rate over current and intervals of the selected neuron, its layer in two dimensions.
 * @param {Pen} pen @param {number} width @param {number} y @param {any} tab @param {import("./types").NeuronFrame | null} neuron
 */
function drawMore(pen, width, y, { layer, plane, current, intervals, selected }, neuron) {
  const half = (width - LEFT - RIGHT - 40) / 2, same = neuron && selected && neuron.layer === selected[0] && neuron.unit === selected[1];
  let at = y + TITLE;
  if (same) {
    const left = { x: LEFT, y: at, width: half, height: SMALL }, right = { ...left, x: LEFT + half + 40 };
    if (titled(pen, left, "Hz over current", current, "inside.rate over current")) drawCurrent(pen, left, current);
    if (titled(pen, right, "spike intervals", intervals, "inside.intervals")) drawIntervals(pen, right, intervals);
    const words = [current, intervals].map((frame) => frame.words).filter(Boolean).join("; ");
    at += SMALL + 36 + lines(pen, words, { x: 6, y: at + SMALL + 34, width: width - 12, height: 0 }, 3) + TITLE;
  }
  const place = { x: 6, y: at, width: width - 16, height: 170 };
  if (!titled(pen, place, layer ? `${layer}: every test sample, in two dimensions` : "layer in two dimensions", plane, "inside.two dimensions")) return;
  scatter(pen, place, floatsOf(plane.x), floatsOf(plane.y), intsOf(plane.labels));
  let x = place.x;
  plane.names.slice(0, 12).forEach((/** @type {string} */ name, /** @type {number} */ k) => {
    symbol(pen, x + 4, at + 181, k);
    x += 12 + text(pen, name, x + 10, at + 185, { size: 10, room: 60 }) + 8;
  });
  if (plane.names.length > 12) text(pen, `and ${plane.names.length - 12} more`, 6, at + 198, { size: 10, alpha: 0.8 });
  lines(pen, plane.words, { x: 6, y: at + (plane.names.length > 12 ? 213 : 200), width: width - 12, height: 0 }, 2);
}

/** @param {Pen} pen @param {Box} place @param {any} frame */
function drawCurrent(pen, place, { currents, rates, ideal, received }) {
  const xs = floatsOf(currents), ys = floatsOf(rates), smooth = floatsOf(ideal), high = ys.reduce((a, b) => Math.max(a, b), 0) || 1;
  const looks = [{ ys: smooth, look: { alpha: 0.5, dash: [2, 3] } }, { ys, look: { colour: BLUE, width: 1.8 } }];
  const { at } = plot(pen, place, xs, looks, { low: 0, high: 1.08 * high, unit: "" });
  if (received) fill(pen, at(received[0]), place.y, Math.max(1, at(received[1]) - at(received[0])), place.height, { colour: VERMILION, alpha: 0.12 });
}

/** @param {Pen} pen @param {Box} place @param {any} frame */
function drawIntervals(pen, place, { counts, width, first, dt }) {
  const unit = dt || 1;
  bars(pen, place, counts, (first - 0.5) * unit, (first - 0.5 + counts.length * width) * unit, dt ? "ms" : "steps");
}

/** @param {Pen} pen @param {Box} place @param {string} unit what can be clicked */
function drawHint(pen, place, unit) {
  const look = /** @type {const} */ ({ align: "center", alpha: 0.75 }), x = place.x + place.width / 2, y = place.y + place.height / 2;
  box(pen, place, 0.15);
  text(pen, `Click a ${unit} in the raster,`, x, y - 4, look);
  text(pen, "or press Enter on it, to see inside.", x, y + 13, look);
}

/** @param {Pen} pen @param {import("./types").Scene} scene @param {import("./types").NeuronFrame} neuron @param {Box} place */
function drawVoltage(pen, scene, { trace, after, threshold, spikes }, place) {
  const values = floatsOf(/** @type {DataView} */ (trace)), right = place.x + place.width;
  const shown = [threshold ?? 0, ...values, ...(after ? floatsOf(after) : [])]; // not 0 in general: voltages may be -65 to -50
  const low = Math.min(...shown), high = Math.max(...shown), span = high - low || 1;
  const top = spikes ? 0.3 : 0.12; // room for the marks of the spikes
  const at = axisBeside(pen, place, low - 0.08 * span, high + top * span, 3);
  if (threshold !== null) {
    line(pen, [[place.x, at(threshold)], [right, at(threshold)]], { dash: STYLE.threshold, colour: VERMILION, width: 1.2 });
    text(pen, "threshold", right - 5, at(threshold) + 13, { align: "right", size: 11, halo: true });
  }
  const x = timesOf(scene, place, values.length);
  const reset = after && floatsOf(after), bits = spikes && bytesOf(spikes);
  const points = x.flatMap((px, t) => {
    const before = /** @type {import("./types").Point} */ ([px, at(values[t])]);
    return reset && bits && bitOf(bits, t) ? [before, /** @type {import("./types").Point} */ ([px, at(reset[t])])] : [before];
  });
  line(pen, points, { colour: BLUE, width: 1.8 });
}

/** @param {Pen} pen @param {import("./types").Diverging} weights @param {Box} place */
function drawWeights(pen, weights, { x, y, width, height }) {
  const { rows, labels = [] } = weights, left = x + (labels.length ? 14 : 0);
  const size = rows === 1 ? { width, height: 26 } : shapeOf(weights, Math.min(height, width - left));
  const place = { x: left, y, ...size };
  explained(pen, "inside.weights", { x, y, width, height });
  text(pen, weights.title ?? "", x, y - 6, { room: width, size: 11 });
  picture(pen, weights, diverging, place);
  box(pen, place);
  labels.forEach((name, k) => text(pen, name, x, y + ((k + 0.5) * place.height) / rows + 4, { size: 11 }));
  scaleBar(pen, weights.scale, x, place.y + place.height + 10);
}
