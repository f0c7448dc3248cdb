// The health of the layers as small multiples: firing rates, share in the surrogate's window, gradients.
import { BLUE, GREEN, ORANGE, VERMILION, axisUnder, box, explained, fill, floatsOf, line, lookOf, scale, text, ticks } from "./draw.js";
import { mount } from "./canvas.js";
import { percent, powerOfTen, readable } from "./numbers.js";
import { lines as wrapped, shaded, underAxis } from "./plots.js";

/**
 * @typedef {import("./types").Pen} Pen @typedef {import("./types").Box} Box @typedef {import("./types").Health} Health
 * @typedef {import("./types").LayerHealth} LayerHealth @typedef {import("./types").Point} Point
 * @typedef {(pen: Pen, panel: Box, frame: Health) => void} Drawing
 */

const TALL = 200, NARROW = 180, LEFT = 8, RIGHT = 8, BETWEEN = 28, HEAD = 78;

/**
 * One panel for each spiking layer, one for the norms of the gradients, one for the gradients over time.
 * @param {Health} health @returns {Drawing[]}
 */
function panelsOf({ layers }) {
  /** @type {Drawing[]} */ const panels = [], lines = layers.filter((layer) => layer.over_time);
  for (const layer of layers) if (layer.rates) panels.push((pen, panel) => drawRates(pen, layer, panel));
  if (layers.length) panels.push((pen, panel, frame) => drawNorms(pen, layers, panel, frame));
  if (lines.length) panels.push((pen, panel, frame) => drawOverTime(pen, lines, panel, frame));
  if (lines.length) panels.push((pen, panel, frame) => drawMap(pen, frame.backward, panel));
  return panels;
}

/** @param {Health} frame @param {number} width */
function arrangePanels(frame, width) {
  const count = panelsOf(frame).length, room = width - LEFT - RIGHT + BETWEEN;
  const columns = Math.max(1, Math.min(count, Math.floor(room / (NARROW + BETWEEN))));
  return { columns, each: room / columns, height: Math.ceil(count / columns) * TALL };
}

/** @param {Pen} pen @param {Box} place @param {string} words @param {string} key of its explanation */
function heading(pen, place, words, key) {
  explained(pen, key, { ...place, y: place.y + 18 });
  text(pen, words, place.x, place.y + 14, { room: place.width });
}

// ---- firing rates ----

/** @param {Pen} pen @param {LayerHealth} layer @param {Box} panel */
function drawRates(pen, { name, rates, in_window }, panel) {
  if (!rates) return;
  heading(pen, panel, `${name}: firing rates`, "health.firing rates");
  const end = 18, gap = 9; // dead and saturated neurons have bars of their own at the ends
  const place = { x: panel.x + end + gap, y: panel.y + 36, width: panel.width - 2 * (end + gap), height: 66 };
  const bottom = place.y + place.height, highest = Math.max(1, rates.dead, rates.saturated, ...rates.counts);
  const tall = (/** @type {number} */ count) => (count ? Math.max(2, (count / highest) * place.height) : 0);
  /** @param {number} x @param {number} width @param {number} count @param {string} colour */
  const bar = (x, width, count, colour) => fill(pen, x, bottom - tall(count), width, tall(count), { colour });
  const wide = place.width / rates.counts.length;
  rates.counts.forEach((count, k) => bar(place.x + k * wide + 0.5, wide - 1, count, BLUE));
  const right = panel.x + panel.width;
  /** @type {[number, number, string][]} */ const ends = [[panel.x, rates.dead, VERMILION], [right - end, rates.saturated, ORANGE]];
  for (const [x, count, colour] of ends) {
    bar(x, end, count, colour);
    hatch(pen, { x, y: bottom - tall(count), width: end, height: tall(count) });
    const inner = x === panel.x ? x : right, align = x === panel.x ? "left" : "right"; // many digits stay inside
    text(pen, readable(count), inner, bottom - tall(count) - 4, { align, size: 11, bold: count > 0 });
    line(pen, [[x, bottom + 0.5], [x + end, bottom + 0.5]], { alpha: 0.5 });
  }
  line(pen, [[place.x, bottom + 0.5], [place.x + place.width, bottom + 0.5]], { alpha: 0.5 });
  const at = scale(0, rates.top, place.x, place.x + place.width);
  axisUnder(pen, place, ticks(0, rates.top, place.width / 45), at, readable);
  const dead = text(pen, "dead", panel.x, bottom + 28, { size: 11 });
  text(pen, "Hz", place.x + place.width / 2, bottom + 28, { align: "center", size: 11, alpha: 0.8 });
  const saturated = text(pen, "saturated", right, bottom + 28, { align: "right", size: 11 });
  explained(pen, "health.dead", { ...panel, y: bottom + 33, width: dead });
  explained(pen, "health.saturated", { ...panel, x: right - saturated, y: bottom + 33, width: saturated });
  wrapped(pen, rates.words, { ...panel, y: bottom + 44 }, 2, /(?<=, )/);
  if (in_window !== null) drawShare(pen, in_window, { ...panel, y: panel.y + 174 });
}

/** Distinguishes a bar without colour. @param {Pen} pen @param {Box} place */
function hatch(pen, { x, y, width, height }) {
  pen.save();
  pen.beginPath();
  pen.rect(x, y, width, height);
  pen.clip();
  const look = { colour: pen.theme.paper, width: 1.5 };
  for (let k = -height; k < width; k += 5) line(pen, [[x + k, y + height], [x + k + height, y]], look);
  pen.restore();
}

/** @param {Pen} pen @param {number} share @param {Box} panel */
function drawShare(pen, share, { x, y, width }) {
  explained(pen, "health.surrogate window", { x, y: y + 13, width, height: 0 }, 26);
  text(pen, "in the surrogate window", x, y, { size: 11, room: width - 40 });
  text(pen, percent(share), x + width, y, { size: 11, bold: true, align: "right" });
  fill(pen, x, y + 5, width, 7, { alpha: 0.15 });
  fill(pen, x, y + 5, width * share, 7, { colour: GREEN });
}

// ---- gradients ----

/** Whole powers of ten around the positive values, at most ten of them; `marks` get a number. @param {number[]} values @param {number} count */
function decades(values, count) {
  const logs = values.filter((v) => v > 0).map(Math.log10);
  if (!logs.length) logs.push(0);
  const high = Math.ceil(Math.max(...logs));
  const low = Math.max(high - 10, Math.min(high - 1, Math.floor(Math.min(...logs) - 0.3)));
  const marks = [];
  for (let k = low; k <= high; k += Math.ceil((high - low) / count)) marks.push(k);
  return { low, high, marks };
}

/** @param {Pen} pen @param {LayerHealth[]} layers @param {Box} panel @param {Health} frame */
function drawNorms(pen, layers, panel, { step }) {
  heading(pen, panel, `gradient norm, step ${step.toLocaleString("en")}`, "health.gradient norm");
  const tall = Math.min(46, 140 / layers.length), thick = Math.max(3, Math.min(12, tall - 17));
  const numbers = 54; // room for them beside the bars
  const place = { x: panel.x, y: panel.y + 24, width: panel.width - numbers, height: tall * layers.length };
  const { low, high, marks } = decades(layers.map((layer) => layer.gradient ?? 0), place.width / 45);
  const at = scale(low, high, place.x, place.x + place.width), bottom = place.y + place.height;
  for (const k of marks) {
    line(pen, [[at(k), place.y], [at(k), bottom + 4]], { alpha: 0.15 });
    text(pen, powerOfTen(k), at(k), bottom + 16, { align: k === low ? "left" : "center", size: 11, alpha: 0.8 });
  }
  layers.forEach((layer, k) => {
    const y = place.y + k * tall + 14;
    text(pen, layer.name, place.x, y, { size: 11, room: place.width, halo: true });
    const length = layer.gradient !== null && layer.gradient > 0 ? Math.max(2, at(Math.log10(layer.gradient)) - place.x) : 0;
    fill(pen, place.x, y + 4, length, thick, { colour: lookOf(k).colour });
    text(pen, layer.gradient_words, place.x + length + 5, y + 4 + thick / 2 + 4, { size: 11, bold: true, halo: true });
  });
}

/** @param {Pen} pen @param {LayerHealth[]} layers @param {Box} panel @param {Health} frame */
function drawOverTime(pen, layers, panel, frame) {
  heading(pen, panel, "gradient over time", "health.gradient over time");
  const place = { x: panel.x + 34, y: panel.y + 28, width: panel.width - 34, height: 108 };
  const bottom = place.y + place.height, right = place.x + place.width;
  const lines = layers.map((layer) => floatsOf(/** @type {DataView} */ (layer.over_time)));
  const { low, high, marks } = decades(lines.flatMap((values) => [...values]), 4);
  const y = scale(low, high, bottom, place.y), steps = Math.max(...layers.map((layer) => layer.steps));
  for (const k of marks) {
    line(pen, [[place.x, y(k)], [right, y(k)]], { alpha: 0.15 });
    text(pen, powerOfTen(k), place.x - 6, y(k) + 4, { align: "right", size: 11, alpha: 0.8 });
  }
  const at = scale(0, steps, place.x, right), times = ticks(0, steps, Math.min(place.width / 50, steps));
  axisUnder(pen, place, times, at, (tick) => readable(tick, 6) + (tick ? "" : " steps"));
  box(pen, place);
  const looks = layers.map((layer) => ({ ...lookOf(frame.layers.indexOf(layer)), width: 1.8 }));
  layers.forEach(({ steps: own }, k) => {
    const x = (/** @type {number} */ t) => at(((t + 0.5) * own) / lines[k].length);
    const height = (/** @type {number} */ v) => (v > 0 ? Math.min(y(Math.log10(v)), bottom) : NaN);
    line(pen, [...lines[k]].map((v, t) => /** @type {Point} */ ([x(t), height(v)])), looks[k]);
  });
  drawNames(pen, layers, looks, { ...panel, y: bottom + 30 });
}

/** Layers by time: how strongly a current would change the loss. @param {Pen} pen @param {any} backward @param {Box} panel */
function drawMap(pen, backward, panel) {
  const place = { x: panel.x + 52, y: panel.y + 24, width: panel.width - 52, height: 110 };
  heading(pen, panel, "the backward signal, layer by time", "health.backward signal");
  if (!backward || backward.reason) return void wrapped(pen, backward?.reason ?? "not computed yet", { ...panel, y: panel.y + 40 });
  shaded(pen, place, backward.image);
  const each = place.height / backward.layers.length;
  const look = /** @type {const} */ ({ align: "right", size: 11, room: 48 });
  backward.layers.forEach((/** @type {string} */ name, /** @type {number} */ k) => text(pen, name, place.x - 5, place.y + (k + 0.5) * each + 4, look));
  underAxis(pen, place, 0, backward.steps, "steps");
  wrapped(pen, backward.words, { ...panel, y: place.y + place.height + 34 }, 3);
}

/** @param {Pen} pen @param {LayerHealth[]} layers @param {import("./types").Line[]} looks @param {Box} panel */
function drawNames(pen, layers, looks, panel) {
  let { x, y } = panel;
  layers.forEach(({ name }, k) => {
    pen.font = `11px ${pen.theme.font}`;
    const width = 23 + pen.measureText(name).width;
    if (x > panel.x && x + width > panel.x + panel.width) [x, y] = [panel.x, y + 13];
    line(pen, [[x, y], [x + 18, y]], looks[k]);
    text(pen, name, x + 23, y + 4, { size: 11, room: panel.width - 23 });
    x += width + 14;
  });
}

/** What a sample costs, and how sparse the network is: three lines at most. @param {Pen} pen @param {any} energy @param {Box} place */
function drawEnergy(pen, { words, reason }, place) {
  const [operations, ...sparsity] = (words ?? reason).split("; "), used = wrapped(pen, operations, place, 2);
  explained(pen, "health.synaptic operations", { ...place, y: place.y + used - 9 }, used);
  if (!sparsity.length) return;
  const rest = wrapped(pen, sparsity.join("; "), { ...place, y: place.y + used }, 4 - used / 13);
  explained(pen, "health.sparsity", { ...place, y: place.y + used + rest - 9 }, rest);
}

/**
 * Draws `scenes.health_frame`.
 * @param {import("./types").Model} model
 * @returns {import("./types").Part}
 */
export function makeHealth(model) {
  const el = document.createElement("div"), frame = () => /** @type {Health} */ (model.get("health"));
  const { redraw, stop } = mount(el, {
    role: "img",
    arrange: (width) => (frame().layers ? arrangePanels(frame(), width).height + HEAD : 0),
    label: () => `Health of the layers: ${frame().summary}`,
    paint: (pen, width) => {
      const { columns, each } = arrangePanels(frame(), width);
      text(pen, `measured at ${frame().when}`, LEFT, 12, { size: 11, alpha: 0.8, room: width - 2 * LEFT });
      const { energy } = model.get("tab");
      if (energy) drawEnergy(pen, energy, { x: LEFT, y: 28, width: width - 2 * LEFT, height: 0 });
      panelsOf(frame()).forEach((draw, k) => {
        const x = LEFT + (k % columns) * each, y = HEAD + Math.floor(k / columns) * TALL;
        draw(pen, { x, y, width: each - BETWEEN, height: TALL }, frame());
      });
    },
  });
  const events = ["change:health", "change:tab"];
  for (const event of events) model.on(event, redraw);
  return { el, stop: () => { stop(); for (const event of events) model.off(event, redraw); } };
}
