// What the page draws: spikes and traces over time, scores, one neuron, the confusion of classes.
import { BLUE, GREEN, ORANGE, VERMILION, axisBeside, axisUnder, box, diverging, dot, fill, fit, line, lookOf, picture, scale, scaleBar, text, ticks, within } from "./draw.js";
import { counted, readable } from "./numbers.js";

/** @typedef {import("./types").Pen} Pen @typedef {import("./types").Box} Box @typedef {import("./exhibit").View} View @typedef {import("./exhibit").Signal} Signal */

const LEFT = 10, RIGHT = 12, ABOVE = 18, UNDER = 24;

/** @param {Signal} signal @param {number} steps */
const spikesIn = ({ trains }, steps) => (trains ? trains.starts[steps] : 0);

/** Numbers as bytes for `diverging`, the largest at the ends. @param {ArrayLike<number>} values */
export function colours(values) {
  const most = Array.from(values).reduce((top, value) => Math.max(top, Math.abs(value)), 0) || 1;
  return { most, bytes: new DataView(Uint8Array.from(values, (value) => 128 + Math.round((127 * value) / most)).buffer) };
}

/** The areas of the raster from top to bottom: input, hidden layers, readout. @param {View} view @param {number} width @param {number} height */
export function areasOf({ net, signal, played }, width, height) {
  const hidden = net.layers.slice(0, -1), shares = [1, ...hidden.map(() => 2.2 / Math.sqrt(hidden.length)), 1.6], all = shares.reduce((a, b) => a + b);
  const room = height - UNDER - ABOVE * shares.length - 2, names = ["input", ...net.layers.map(({ name }) => name)];
  let y = 0;
  return shares.map((share, k) => {
    const place = { x: LEFT, y: y + ABOVE, width: width - LEFT - RIGHT, height: (room * share) / all };
    y += ABOVE + place.height;
    const layer = k - 1, units = k ? net.layers[layer].units : signal.width;
    return { layer, name: names[k], units, place, played: k ? played[layer] : null };
  });
}

/** @param {Pen} pen @param {View} view @param {number} width @param {number} height */
export function paintRaster(pen, view, width, height) {
  const { net: { steps }, data, at, picked } = view, areas = areasOf(view, width, height), x = scale(0, steps, LEFT, width - RIGHT);
  for (const { layer, name, units, place, played } of areas) {
    const fired = layer < 0 ? spikesIn(view.signal, steps) : played?.spikes?.reduce((sum, spike) => sum + spike, 0) ?? 0;
    const spikes = layer < 0 ? view.signal.trains : played?.spikes, noun = layer < 0 ? "unit" : "neuron";
    const what = layer === lastOf(view) ? "traces of the classes" : counted(units, noun) + (spikes ? `, ${counted(fired, "spike")}` : "");
    const bold = text(pen, name, LEFT, place.y - 5, { bold: true, size: 11, room: width / 3 });
    text(pen, what, LEFT + bold + 8, place.y - 5, { size: 11, alpha: 0.8, room: width - bold - LEFT - 20 });
    box(pen, place, 0.2);
    within(pen, place, () => {
      if (layer === lastOf(view)) traces(pen, view, place);
      else if (layer < 0 && view.signal.trains) inputs(pen, view, place, x);
      else if (played?.spikes) marks(pen, played.spikes, units, place, x, at);
      else image(pen, layer < 0 ? view.signal.values : played?.values, units, steps, place, at);
    });
    if (picked.layer === layer && layer >= 0 && layer !== lastOf(view)) {
      const y = place.y + ((picked.unit + 0.5) * place.height) / units;
      line(pen, [[place.x, y], [place.x + place.width, y]], { colour: ORANGE, alpha: 0.7 });
      dot(pen, place.x + place.width, y, ORANGE);
    }
  }
  const last = areas[areas.length - 1].place;
  axisUnder(pen, last, ticks(0, steps * data.dt, width < 500 ? 4 : 8), (t) => x(t / data.dt), (t) => `${readable(t)}${t ? "" : ` ${data.unit}`}`);
  if (at < steps) line(pen, [[x(at), areas[0].place.y], [x(at), last.y + last.height]], { colour: ORANGE, width: 1.5 });
}

/** @param {View} view */
const lastOf = ({ net }) => net.layers.length - 1;

/** @param {Pen} pen @param {Uint8Array} spikes @param {number} units @param {Box} place @param {(t: number) => number} x @param {number} at */
function marks(pen, spikes, units, place, x, at) {
  const tall = Math.max((0.85 * place.height) / units, 3), wide = Math.max(Math.min(0.6 * (x(1) - x(0)), 3), 1.5);
  pen.fillStyle = BLUE;
  for (let t = 0, k = 0; t < at; t++)
    for (let n = 0; n < units; n++, k++) if (spikes[k]) pen.fillRect(x(t + 0.5) - wide / 2, place.y + ((n + 0.5) * place.height) / units - tall / 2, wide, tall);
}

/** @param {Pen} pen @param {View} view @param {Box} place @param {(t: number) => number} x */
function inputs(pen, { signal: { trains, width }, at }, place, x) {
  const tall = Math.max((0.85 * place.height) / width, 1.5), wide = Math.max(Math.min(0.6 * (x(1) - x(0)), 2.5), 1.2);
  pen.fillStyle = pen.theme.ink;
  pen.globalAlpha = 0.75;
  for (let t = 0; trains && t < at; t++)
    for (let e = trains.starts[t]; e < trains.starts[t + 1]; e++)
      pen.fillRect(x(t + 0.5) - wide / 2, place.y + ((trains.units[e] + 0.5) * place.height) / width - tall / 2, wide, tall);
  pen.globalAlpha = 1;
}

/** Numbers as colours, row = unit. @param {Pen} pen @param {Float32Array | null | undefined} values @param {number} units @param {number} steps @param {Box} place @param {number} at */
function image(pen, values, units, steps, place, at) {
  if (!values) return;
  const turned = Float32Array.from(values, (_, k) => values[(k % steps) * units + Math.floor(k / steps)]);
  picture(pen, { rows: units, columns: steps, bytes: colours(turned).bytes }, diverging, place);
  if (at < steps) fill(pen, place.x + (place.width * at) / steps, place.y, place.width, place.height, { colour: pen.theme.paper, alpha: 0.85 });
}

/** @param {Float32Array} values @param {number} [lowest] @param {number} [highest] */
function ends(values, lowest = 0, highest = 0) {
  let low = lowest, high = highest;
  for (const value of values) (value < low && (low = value), value > high && (high = value));
  return high > low ? [low, high] : [low, low + 1];
}

/** The traces of the readout; the one that leads is strong. @param {Pen} pen @param {View} view @param {Box} place */
function traces(pen, { net, played, data: { classes }, at, decided }, place) {
  const values = played[played.length - 1].values, [low, high] = ends(values), y = scale(low, high, place.y + place.height - 4, place.y + 4);
  const x = scale(0, net.steps, place.x, place.x + place.width), leads = at ? decided.leads[at - 1] : -1;
  line(pen, [[place.x, y(0)], [place.x + place.width, y(0)]], { alpha: 0.25 });
  classes.forEach((_, k) => {
    const points = Array.from({ length: at }, (_, t) => /** @type {[number, number]} */ ([x(t + 0.5), y(values[t * classes.length + k])]));
    line(pen, points, { ...lookOf(k), width: k === leads ? 2.5 : 1, alpha: k === leads ? 1 : 0.75 });
  });
  const end = place.x + place.width, late = x(at) > end - 60, look = { bold: true, colour: lookOf(leads < 0 ? 0 : leads).colour, halo: true, room: 120 };
  if (leads >= 0) text(pen, classes[leads], late ? end - 8 : x(at) + 6, place.y + 14, { ...look, align: late ? "right" : "left" });
}

/** The scores so far, and below which class has led when. @param {Pen} pen @param {View} view @param {number} width @param {number} height */
export function paintScores(pen, { data: { classes }, net: { steps }, decided, at, label }, width, height) {
  const count = classes.length, row = Math.max(at - 1, 0) * count, scores = at ? decided.scores.slice(row, row + count) : new Float64Array(count);
  const order = Array.from(scores.keys()), room = height - 34, most = Math.max(1, Math.min(count, Math.floor(room / 13)));
  const kept = count <= most ? order : order.sort((a, b) => scores[b] - scores[a]).slice(0, most), tall = Math.min(room / kept.length, 34);
  pen.font = `12px ${pen.theme.font}`;
  const names = Math.min(Math.max(...kept.map((k) => pen.measureText(classes[k]).width)) + 10, width / 3);
  const [low, high] = ends(Float32Array.from(decided.scores, (value) => (Number.isFinite(value) ? value : 0))), x = scale(low, high, names + 12, width - 52);
  const leads = at ? decided.leads[at - 1] : -1;
  kept.forEach((k, place) => {
    const y = place * tall, value = Number.isFinite(scores[k]) ? scores[k] : 0, bold = k === leads;
    text(pen, classes[k], names, y + tall / 2 + 4, { align: "right", bold, room: names - 6 });
    fill(pen, Math.min(x(0), x(value)), y + 2, Math.max(Math.abs(x(value) - x(0)), 1), tall - 4, { colour: lookOf(k).colour, alpha: bold ? 1 : 0.55 });
    text(pen, readable(value, 2), width - 4, y + tall / 2 + 4, { align: "right", size: 11, bold, alpha: 0.85 });
    if (k === label) text(pen, "\u2713", Math.max(x(0), x(value)) + 4, y + tall / 2 + 4, { size: 12, colour: GREEN, bold: true });
  });
  line(pen, [[x(0), 0], [x(0), kept.length * tall]], { alpha: 0.4 });
  const strip = { x: LEFT, y: height - 14, width: width - 2 * LEFT, height: 10 };
  text(pen, fit(pen, "leads over time", width), LEFT, strip.y - 4, { size: 10, alpha: 0.8 });
  decided.leads.forEach((k, t) => {
    if (t < at && k >= 0) fill(pen, strip.x + (t * strip.width) / steps, strip.y, strip.width / steps + 0.5, strip.height, { colour: lookOf(k).colour });
  });
  box(pen, strip, 0.3);
}

/** The voltage of a neuron and its threshold; the trace of a unit that does not spike. @param {Pen} pen @param {View} view @param {number} width @param {number} height */
export function paintVoltage(pen, { net, played, picked: { layer, unit }, data, at }, width, height) {
  const { units, rows, kind } = net.layers[layer], { spikes, values, thresholds } = played[layer], steps = net.steps;
  const rest = kind === "lif" ? rows.rest[unit] : 0;
  const trace = Float32Array.from({ length: steps }, (_, t) => values[t * units + unit] + rest), place = { x: 46, y: 8, width: width - 58, height: height - 32 };
  const threshold = spikes ? rows.v_th[unit] + rest : null;
  const limit = Float32Array.from({ length: spikes ? steps : 0 }, (_, t) => (thresholds ? thresholds[t * units + unit] : rows.v_th[unit]) + rest);
  const [low, high] = ends(Float32Array.of(...trace, ...limit), threshold === null ? 0 : Math.min(rest, threshold), threshold ?? 0);
  const y = axisBeside(pen, place, low, high + 0.12 * (high - low), Math.max(2, Math.floor(place.height / 36))), x = scale(0, steps, place.x, place.x + place.width);
  box(pen, place, 0.2);
  axisUnder(pen, place, ticks(0, steps * data.dt, 4), (t) => x(t / data.dt), (t) => `${readable(t)}${t ? "" : ` ${data.unit}`}`);
  if (spikes) line(pen, Array.from(limit, (value, t) => [x(t + 0.5), y(value)]), { colour: VERMILION, dash: [7, 4] });
  line(pen, Array.from(trace.subarray(0, at), (value, t) => [x(t + 0.5), y(value)]), { colour: BLUE, width: 1.5 });
  for (let t = 0; spikes && t < at; t++)
    if (spikes[t * units + unit]) line(pen, [[x(t + 0.5), y(limit[t])], [x(t + 0.5), place.y]], { colour: BLUE, width: 2 });
  if (at < steps) line(pen, [[x(at), place.y], [x(at), place.y + place.height]], { colour: ORANGE, width: 1.5 });
}

/** The weights to a unit: an image of the input, or a strip. @param {Pen} pen @param {View} view @param {number} width @param {number} height */
export function paintWeights(pen, { net, picked: { layer, unit }, data }, width, height) {
  const { weights, inputs, units, kind } = net.layers[layer], columns = kind === "lstm" ? 4 * units : units;
  const own = Float32Array.from({ length: inputs }, (_, k) => weights[k * columns + unit]), { most, bytes } = colours(own), { shape, each, kind: code } = data.input;
  const flat = layer === 0 && code !== "numbers" && shape.length > 1 && each === 1 && inputs === shape.reduce((a, b) => a * b);
  const grid = flat ? [inputs / shape[shape.length - 1], shape[shape.length - 1]] : null, wide = Math.ceil(Math.sqrt((inputs * width) / (height - 18)));
  const [rows, across] = grid ?? [Math.ceil(inputs / wide), wide], size = Math.min(width / across, (height - 18) / rows);
  const all = new Uint8Array(rows * across).fill(128);
  all.set(new Uint8Array(bytes.buffer));
  const place = { x: 0, y: 0, width: across * size, height: rows * size };
  picture(pen, { rows, columns: across, bytes: new DataView(all.buffer) }, diverging, place);
  box(pen, place, 0.3);
  scaleBar(pen, most, 0, height - 8);
  const from = layer ? net.layers[layer - 1].name : "the input", words = ["weights", `from ${from}`, ...(kind === "lstm" ? ["to gate i"] : [])];
  const room = width - place.width - 12;
  if (room > 80) words.forEach((line, k) => text(pen, line, place.width + 10, 12 + 16 * k, { size: 11, alpha: 0.8, room }));
}

/** How often which class was said for which. @param {Pen} pen @param {number[][]} counts rows: labels @param {string[]} names @param {number} width @param {number} height */
export function paintConfusion(pen, counts, names, width, height) {
  pen.font = `11px ${pen.theme.font}`;
  const left = Math.min(Math.max(...names.map((name) => pen.measureText(name).width)) + 8, width / 3);
  const size = Math.min((width - left - 4) / names.length, (height - 36) / names.length, 30);
  const most = Math.max(1, ...counts.flat());
  counts.forEach((row, r) => {
    const y = 18 + r * size;
    if (size > 8) text(pen, names[r], left - 5, y + size / 2 + 4, { align: "right", size: 11, room: left - 6 });
    row.forEach((count, c) => {
      const place = { x: left + c * size, y, width: size, height: size };
      if (count) fill(pen, place.x, y, size, size, { colour: r === c ? BLUE : VERMILION, alpha: 0.2 + (0.8 * count) / most });
      box(pen, place, 0.15);
      const look = { align: /** @type {const} */ ("center"), size: 11, bold: true, colour: count / most > 0.4 ? "#fff" : pen.theme.ink };
      if (count && size > 11) text(pen, String(count), place.x + size / 2, y + size / 2 + 4, look);
    });
  });
  text(pen, "rows: true class", left, 12, { size: 11, alpha: 0.8, room: width - left });
  if (size > 14) names.forEach((name, c) => text(pen, name, left + (c + 0.5) * size, 32 + names.length * size - 2, { align: "center", size: 11, room: size }));
  else text(pen, "columns: said", left, 30 + names.length * size, { size: 11, alpha: 0.8 });
}
