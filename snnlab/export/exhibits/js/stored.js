// Reads what the page carries: arrays in base64, samples, constants at the stops of the sliders.
import { sorted } from "./engine.js";

/** @typedef {import("./exhibit").Exhibit} Exhibit @typedef {import("./exhibit").Sample} Sample */
/** @typedef {import("./exhibit").Net} Net @typedef {import("./exhibit").Layer} Layer */
/** @typedef {import("./exhibit").Signal} Signal @typedef {import("./exhibit").Given} Given */
/** @typedef {import("./exhibit").Table} Table */

/** @param {string} words base64 */
export function bytesOf(words) {
  const text = atob(words), bytes = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
  return bytes;
}
/** @param {string} words */
export const floatsOf = (words) => new Float32Array(bytesOf(words).buffer);
/** @param {string} words */
const stepsOf = (words) => new Uint16Array(bytesOf(words).buffer);

/** Weights as they are, or whole numbers times a scale for every column. @param {string} words @param {string | null} scales */
function weightsOf(words, scales) {
  if (!scales) return floatsOf(words);
  const whole = new Int8Array(bytesOf(words).buffer), scale = floatsOf(scales);
  return Float32Array.from(whole, (value, k) => value * scale[k % scale.length]);
}

/** One value per neuron. @param {Float32Array} row @param {number} width */
const spread = (row, width) => (row.length === 1 ? new Float32Array(width).fill(row[0]) : row);

/** @param {Exhibit} data @returns {Net} */
export function netOf({ layers, steps }) {
  const read = layers.map(({ weights, recurrent, scales, rows, ...layer }) => {
    const width = layer.kind === "lstm" ? 4 * layer.units : layer.units;
    const all = Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, spread(floatsOf(row), width)]));
    const back = recurrent === null ? null : weightsOf(recurrent, scales[1]);
    return { ...layer, weights: weightsOf(weights, scales[0]), recurrent: back, bias: all.bias, rows: all };
  });
  return { steps, layers: read };
}

/**
 * The constants of a layer at a stop: one for all neurons, or one for each.
 * @param {string} table @param {number} stop @param {number} count of the stops @param {number} units
 */
function rowAt(table, stop, count, units) {
  const values = floatsOf(table), width = values.length / count;
  return spread(values.subarray(stop * width, (stop + 1) * width), units);
}

/**
 * The network with its sliders at some stops; those at home have the trained constants themselves.
 * @param {Net} net @param {Exhibit} data @param {number[]} stops
 * @param {Net} [before] the one of other stops, whose layers stay where their own have not changed
 * @returns {Net}
 */
export function moved(net, { sliders }, stops, before) {
  const layers = net.layers.map((layer, place) => {
    const own = [...sliders.keys()].filter((k) => sliders[k].layer === place), last = before?.stops;
    if (before && last && own.every((k) => last[k] === stops[k])) return before.layers[place];
    const away = own.filter((k) => stops[k] !== sliders[k].home);
    if (!away.length) return layer;
    const now = away.flatMap((k) => Object.entries(sliders[k].rows).map(([name, table]) =>
      [name, rowAt(table, stops[k], sliders[k].values.length, layer.units)]));
    return { ...layer, rows: { ...layer.rows, ...Object.fromEntries(now) } };
  });
  return { ...net, layers, stops };
}

/**
 * What each of the 256 bytes becomes with the sliders of the code at some stops: as trained the encoder's own table; else
 * by its rule in double precision, but for the few bytes that float32 rounds to another step, which Python has listed.
 * @param {Exhibit} data @param {number[]} [stops] @returns {Table}
 */
export function tableOf({ input, sliders, steps }, stops) {
  const { table, dt, rule, listed, open, limits } = input, code = stops ? [...sliders.keys()].filter((k) => sliders[k].layer < 0) : [];
  if (input.kind === "numbers") return floatsOf(table);
  const moves = code.map((k) => /** @type {number[]} */ (stops)[k]);
  if (!rule || code.every((k, c) => moves[c] === sliders[k].home)) return stepsOf(table);
  if (rule === "cutoff") {
    const last = bytesOf(limits);
    return stepsOf(open).map((step, k) => (moves[0] < last[k] ? step : steps));
  }
  const [tau, threshold] = code.map((k, c) => sliders[k].values[moves[c]]);
  const found = Uint16Array.from({ length: 256 }, (_, byte) => {
    const x = byte / 255, step = x > threshold ? Math.floor((tau / dt) * Math.log(x / (x - threshold))) : steps;
    return step < steps ? step : steps;
  });
  for (const [first, second, byte, step] of listed) if (first === moves[0] && second === moves[1]) found[byte] = step;
  return found;
}

/** The same numbers each time: mulberry32. @param {number} seed */
function randoms(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What a sample carries. @param {Sample} sample @returns {Given} */
export function givenBy({ bytes, when, who, values }) {
  return {
    bytes: bytes === undefined ? null : bytesOf(bytes),
    when: when === undefined ? null : stepsOf(when),
    who: who === undefined ? null : new Uint32Array(bytesOf(who).buffer),
    values: values === undefined ? null : floatsOf(values),
  };
}

/**
 * What reaches the first layer.
 * @param {Exhibit} data @param {Given} given
 * @param {number} [lost] share of the spikes, or of the numbers, that are left out
 * @param {Table} [table] what the bytes become, see `tableOf`
 * @returns {Signal}
 */
export function signalOf(data, given, lost = 0, table = tableOf(data)) {
  const { units, each, kind } = data.input, { steps } = data, random = randoms(1), stays = () => random() >= lost;
  if (given.values || kind === "numbers") {
    const values = given.values?.slice() ?? Float32Array.from(given.bytes ?? [], (byte) => table[byte]);
    return { trains: null, values: lost ? values.map((value) => (stays() ? value : 0)) : values, width: units };
  }
  let { when, who } = given;
  const { bytes } = given;
  if (bytes) {
    when = Uint16Array.from({ length: units }, (_, u) => table[bytes[Math.floor(u / each)] * each + (u % each)]);
    who = Uint32Array.from(when, (_, u) => u);
  }
  const kept = lost ? when?.map((t) => (stays() ? t : steps)) : when;
  return { trains: sorted(kept ?? [], who ?? [], steps, units), values: null, width: units };
}
