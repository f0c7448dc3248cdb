// What the page draws: spikes and traces over time, scores, one neuron, the confusion of classes.
import {
  BLUE, GREEN, ORANGE, VERMILION, axisBeside, axisUnder, box, diverging, dot, fill, fit, line, lookOf, picture, scale, scaleBar,
  text, ticks, within,
} from "./draw.js";
import { counted, readable } from "./numbers.js";

/** @typedef {import("./types").Pen} Pen @typedef {import("./types").Box} Box @typedef {import("./exhibit").View} View */
/** @typedef {import("./exhibit").Signal} Signal */

const LEFT = 10, RIGHT = 12, ABOVE = 18, UNDER = 24;

/** How many spikes there are. @param {Signal} signal */
const spikesIn = ({ trains }) => trains?.units.length ?? 0;

/** Numbers as bytes for `diverging`, the largest at the ends. @param {Float32Array} values */
export function colours(values) {
  const most = values.reduce((top, value) => Math.max(top, Math.abs(value)), 0) || 1;
  return { most, bytes: new DataView(Uint8Array.from(values, (value) => 128 + Math.round((127 * value) / most)).buffer) };
}

/**
 * The areas of the raster from top to bottom: input, hidden layers, readout.
 * @param {View} view @param {number} width @param {number} height
 */
export function areasOf({ net, signal, played }, width, height) {
  const hidden = net.layers.slice(0, -1), shares = [1, ...hidden.map(() => 2.2 / Math.sqrt(hidden.length)), 1.6];
  const all = shares.reduce((a, b) => a + b), names = ["input", ...net.layers.map(({ name }) => name)];
  const room = height - UNDER - ABOVE * shares.length - 2;
  let y = 0;
  return shares.map((share, k) => {
    const place = { x: LEFT, y: y + ABOVE, width: width - LEFT - RIGHT, height: (room * share) / all };
    y += ABOVE + place.height;
    const layer = k - 1, sent = k ? played[layer].next : signal;
    return { layer, name: names[k], units: sent.width, place, sent, played: k ? played[layer] : null };
  });
}

/** @param {Pen} pen @param {View} view @param {number} width @param {number} height */
export function paintRaster(pen, view, width, height) {
  const { net: { steps }, data, at, picked } = view, areas = areasOf(view, width, height);
  const x = scale(0, steps, LEFT, width - RIGHT);
  for (const { layer, name, units, place, sent } of areas) {
    const noun = layer < 0 ? "unit" : "neuron", isLast = layer === lastOf(view);
    const spikes = sent.trains ? `, ${counted(spikesIn(sent), "spike")}` : "";
    const bold = text(pen, name, LEFT, place.y - 5, { bold: true, size: 11, room: width / 3 });
    const what = isLast ? "traces of the classes" : counted(units, noun) + spikes;
    text(pen, what, LEFT + bold + 8, place.y - 5, { size: 11, alpha: 0.8, room: width - bold - LEFT - 20 });
    box(pen, place, 0.2);
    within(pen, place, () => {
      if (isLast) traces(pen, view, place);
      else if (sent.trains) marks(pen, sent, place, x, at, layer < 0);
      else image(pen, sent, steps, place, at);
    });
    if (picked.layer === layer && layer >= 0 && !isLast) {
      const y = place.y + ((picked.unit + 0.5) * place.height) / units;
      line(pen, [[place.x, y], [place.x + place.width, y]], { colour: ORANGE, alpha: 0.7 });
      dot(pen, place.x + place.width, y, ORANGE);
    }
  }
  const last = areas[areas.length - 1].place, word = (/** @type {number} */ t) => `${readable(t)}${t ? "" : ` ${data.unit}`}`;
  axisUnder(pen, last, ticks(0, steps * data.dt, width < 500 ? 4 : 8), (t) => x(t / data.dt), word);
  if (at < steps) line(pen, [[x(at), areas[0].place.y], [x(at), last.y + last.height]], { colour: ORANGE, width: 1.5 });
}

/** @param {View} view */
const lastOf = ({ net }) => net.layers.length - 1;

/**
 * A mark for every spike before `at`; those of the input are smaller, in the colour of the text.
 * @param {Pen} pen @param {Signal} signal @param {Box} place @param {(t: number) => number} x @param {number} at
 * @param {boolean} small
 */
function marks(pen, { trains, width }, place, x, at, small) {
  const [thin, low] = small ? [1.2, 1.5] : [1.5, 3], step = place.height / width;
  const tall = Math.max(0.85 * step, low), wide = Math.max(Math.min(0.6 * (x(1) - x(0)), 2 * thin), thin);
  pen.fillStyle = small ? pen.theme.ink : BLUE;
  pen.globalAlpha = small ? 0.75 : 1;
  for (let t = 0; trains && t < at; t++) {
    const left = x(t + 0.5) - wide / 2;
    for (let e = trains.starts[t]; e < trains.starts[t + 1]; e++)
      pen.fillRect(left, place.y + (trains.units[e] + 0.5) * step - tall / 2, wide, tall);
  }
  pen.globalAlpha = 1;
}

/** Numbers as colours, row = unit. @param {Pen} pen @param {Signal} signal @param {number} steps @param {Box} place @param {number} at */
function image(pen, { values, width }, steps, place, at) {
  if (!values) return;
  const turned = values.map((_, k) => values[(k % steps) * width + Math.floor(k / steps)]);
  picture(pen, { rows: width, columns: steps, bytes: colours(turned).bytes }, diverging, place);
  const hidden = (place.width * at) / steps;
  if (at < steps) fill(pen, place.x + hidden, place.y, place.width - hidden, place.height, { colour: pen.theme.paper, alpha: 0.85 });
}

/**
 * The lowest and the highest of some numbers, of 0, and of more that are to be seen with them.
 * @param {ArrayLike<number>} values @param {number[]} more
 */
function ends(values, ...more) {
  let [low, high] = [Math.min(0, ...more), Math.max(0, ...more)];
  for (let k = 0; k < values.length; k++) {
    const value = values[k];
    if (value < low && value > -Infinity) low = value;
    if (value > high && value < Infinity) high = value;
  }
  return high > low ? [low, high] : [low, low + 1];
}

/** The traces of the readout; the one that leads is strong. @param {Pen} pen @param {View} view @param {Box} place */
function traces(pen, { net, played, data: { classes }, at, decided }, place) {
  const { values } = played[played.length - 1], [low, high] = ends(values), count = classes.length;
  const y = scale(low, high, place.y + place.height - 4, place.y + 4), leads = at ? decided.leads[at - 1] : -1;
  const x = scale(0, net.steps, place.x, place.x + place.width), end = place.x + place.width;
  line(pen, [[place.x, y(0)], [end, y(0)]], { alpha: 0.25 });
  classes.forEach((_, k) => {
    const points = Array.from({ length: at }, (_, t) => /** @type {[number, number]} */ ([x(t + 0.5), y(values[t * count + k])]));
    line(pen, points, { ...lookOf(k), width: k === leads ? 2.5 : 1, alpha: k === leads ? 1 : 0.75 });
  });
  if (leads < 0) return;
  const late = x(at) > end - 60, where = late ? end - 8 : x(at) + 6;
  text(pen, classes[leads], where, place.y + 14, {
    bold: true, colour: lookOf(leads).colour, halo: true, room: 120, align: late ? "right" : "left",
  });
}

/**
 * The scores so far, and below which class has led when.
 * @param {Pen} pen @param {View} view @param {number} width @param {number} height
 */
export function paintScores(pen, { data: { classes }, net: { steps }, decided, at, label }, width, height) {
  const count = classes.length, row = Math.max(at - 1, 0) * count, leads = at ? decided.leads[at - 1] : -1;
  const scores = at ? decided.scores.slice(row, row + count) : new Float64Array(count);
  const room = height - 34, most = Math.max(1, Math.min(count, Math.floor(room / 13))), order = Array.from(scores.keys());
  const kept = count <= most ? order : order.sort((a, b) => scores[b] - scores[a]).slice(0, most);
  const tall = Math.min(room / kept.length, 34);
  pen.font = `600 12px ${pen.theme.font}`; // as wide as the one that leads
  const names = Math.min(Math.max(...kept.map((k) => pen.measureText(classes[k]).width)) + 10, width / 3);
  const [low, high] = ends(decided.scores), x = scale(low, high, names + 12, width - 58);
  kept.forEach((k, place) => {
    const y = place * tall, value = Number.isFinite(scores[k]) ? scores[k] : 0, bold = k === leads, middle = y + tall / 2 + 4;
    const colour = lookOf(k).colour, [from, to] = [Math.min(x(0), x(value)), Math.max(x(0), x(value))];
    text(pen, classes[k], names, middle, { align: "right", bold, room: names - 6 });
    fill(pen, from, y + 2, Math.max(to - from, 1), tall - 4, { colour, alpha: bold ? 1 : 0.55 });
    text(pen, readable(value, 2), width - 4, middle, { align: "right", size: 11, bold, alpha: 0.85 });
    if (k === label) text(pen, "\u2713", to + 4, middle, { size: 12, colour: GREEN, bold: true });
  });
  line(pen, [[x(0), 0], [x(0), kept.length * tall]], { alpha: 0.4 });
  const under = Math.min(height - 14, kept.length * tall + 26);
  leaders(pen, decided.leads.subarray(0, at), steps, { x: LEFT, y: under, width: width - 2 * LEFT, height: 10 });
}

/**
 * A strip of who leads, one piece for as long as it is the same class.
 * @param {Pen} pen @param {Int16Array} leads @param {number} steps @param {Box} strip
 */
function leaders(pen, leads, steps, strip) {
  text(pen, fit(pen, "leads over time", strip.width), strip.x, strip.y - 4, { size: 10, alpha: 0.8 });
  const x = scale(0, steps, strip.x, strip.x + strip.width);
  for (let t = 0, from = 0; t < leads.length; t++) {
    if (leads[t + 1] === leads[t]) continue;
    if (leads[t] >= 0) fill(pen, x(from), strip.y, x(t + 1) - x(from), strip.height, { colour: lookOf(leads[t]).colour });
    from = t + 1;
  }
  box(pen, strip, 0.3);
}

/**
 * The voltage of a neuron and its threshold; the trace of a unit that does not spike.
 * @param {Pen} pen @param {View} view @param {number} width @param {number} height
 */
export function paintVoltage(pen, { net, played, picked: { layer, unit }, data, at }, width, height) {
  const { units, rows, kind } = net.layers[layer], { spikes, values, thresholds } = played[layer], { steps } = net;
  const rest = kind === "lif" ? rows.rest[unit] : 0, place = { x: 46, y: 8, width: width - 58, height: height - 32 };
  const trace = Float32Array.from({ length: steps }, (_, t) => values[t * units + unit] + rest);
  const threshold = spikes ? rows.v_th[unit] + rest : 0;
  const limitAt = (/** @type {number} */ t) => (thresholds ? thresholds[t * units + unit] + rest : threshold);
  const limit = Float32Array.from({ length: spikes ? steps : 0 }, (_, t) => limitAt(t));
  const [low, high] = ends([...trace, ...limit], spikes ? rest : 0, threshold);
  const y = axisBeside(pen, place, low, high + 0.12 * (high - low), Math.max(2, Math.floor(place.height / 36)));
  const x = scale(0, steps, place.x, place.x + place.width);
  const word = (/** @type {number} */ t) => `${readable(t)}${t ? "" : ` ${data.unit}`}`;
  box(pen, place, 0.2);
  axisUnder(pen, place, ticks(0, steps * data.dt, 4), (t) => x(t / data.dt), word);
  if (spikes) line(pen, Array.from(limit, (value, t) => [x(t + 0.5), y(value)]), { colour: VERMILION, dash: [7, 4] });
  line(pen, Array.from(trace.subarray(0, at), (value, t) => [x(t + 0.5), y(value)]), { colour: BLUE, width: 1.5 });
  for (let t = 0; spikes && t < at; t++)
    if (spikes[t * units + unit]) fill(pen, x(t + 0.5) - 1, place.y, 2, y(limit[t]) - place.y, { colour: BLUE });
  if (at < steps) line(pen, [[x(at), place.y], [x(at), place.y + place.height]], { colour: ORANGE, width: 1.5 });
}

/**
 * The weights to a unit: an image of the input, or a strip.
 * @param {Pen} pen @param {View} view @param {number} width @param {number} height
 */
export function paintWeights(pen, { net, picked: { layer, unit }, data }, width, height) {
  const { weights, inputs, units, kind } = net.layers[layer], columns = kind === "lstm" ? 4 * units : units;
  const own = Float32Array.from({ length: inputs }, (_, k) => weights[k * columns + unit]), { most: strongest, bytes } = colours(own);
  const { shape, each, kind: code } = data.input, across = shape[shape.length - 1];
  const isImage = layer === 0 && code !== "numbers" && shape.length > 1 && each === 1 && inputs === shape.reduce((a, b) => a * b);
  const most = Math.max(width - 110, width / 2), tall = height - 18; // beside it stands where the weights come from
  const wide = isImage ? across : inputs <= 32 ? inputs : Math.ceil(Math.sqrt((inputs * most) / tall)), rows = Math.ceil(inputs / wide);
  const size = Math.min(most / wide, tall / rows, 24), place = { x: 0, y: 0, width: wide * size, height: rows * size };
  const all = new Uint8Array(rows * wide).fill(128);
  all.set(new Uint8Array(bytes.buffer));
  picture(pen, { rows, columns: wide, bytes: new DataView(all.buffer) }, diverging, place);
  const last = inputs % wide; // cells of the last row
  if (last) fill(pen, last * size, (rows - 1) * size, place.width - last * size, size, { colour: pen.theme.paper });
  box(pen, place, 0.3);
  scaleBar(pen, strongest, 0, place.height + 10);
  const from = layer ? net.layers[layer - 1].name : "the input", room = width - place.width - 12;
  const words = ["weights", `from ${from}`, ...(kind === "lstm" ? ["to gate i"] : [])];
  if (room > 80) words.forEach((line, k) => text(pen, line, place.width + 10, 12 + 16 * k, { size: 11, alpha: 0.8, room }));
}

/**
 * How often which class was said for which.
 * @param {Pen} pen @param {number[][]} counts rows: labels @param {string[]} names @param {number} width @param {number} height
 */
export function paintConfusion(pen, counts, names, width, height) {
  pen.font = `11px ${pen.theme.font}`;
  const left = Math.min(Math.max(...names.map((name) => pen.measureText(name).width)) + 8, width / 3);
  const size = Math.min((width - left - 4) / names.length, (height - 36) / names.length, 30), under = 18 + names.length * size;
  const most = Math.max(1, ...counts.flat());
  counts.forEach((row, r) => {
    const y = 18 + r * size;
    if (size > 8) text(pen, names[r], left - 5, y + size / 2 + 4, { align: "right", size: 11, room: left - 6 });
    row.forEach((count, c) => {
      const place = { x: left + c * size, y, width: size, height: size }, share = count / most;
      if (count) fill(pen, place.x, y, size, size, { colour: r === c ? BLUE : VERMILION, alpha: 0.2 + 0.8 * share });
      box(pen, place, 0.15);
      const look = { align: /** @type {const} */ ("center"), size: 11, bold: true, colour: share > 0.4 ? "#fff" : pen.theme.ink };
      if (count && size > 11) text(pen, String(count), place.x + size / 2, y + size / 2 + 4, look);
    });
  });
  const wide = Math.max(...names.map((name) => pen.measureText(name).width)) < size - 2;
  text(pen, wide ? "rows: true class" : "rows: true class, columns: what was said", left, 12, { size: 11, alpha: 0.8, room: width - left });
  if (wide) names.forEach((name, c) => text(pen, name, left + (c + 0.5) * size, under + 12, { align: "center", size: 11 }));
}
