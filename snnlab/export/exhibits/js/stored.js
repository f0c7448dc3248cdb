// Reads what the page carries: arrays in base64, samples, constants at the stops of the sliders.
import { sorted } from "./engine.js";

/** @typedef {import("./exhibit").Exhibit} Exhibit @typedef {import("./exhibit").Sample} Sample @typedef {import("./exhibit").Net} Net */
/** @typedef {import("./exhibit").Signal} Signal @typedef {import("./exhibit").Given} Given */

/** @param {string} words base64 */
export function bytesOf(words) {
  const text = atob(words), bytes = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
  return bytes;
}
/** @param {string} words */
export const floatsOf = (words) => new Float32Array(bytesOf(words).buffer);

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
  return {
    steps,
    layers: layers.map(({ weights, recurrent, scales, rows, ...layer }) => {
      const width = layer.kind === "lstm" ? 4 * layer.units : layer.units;
      const all = Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, spread(floatsOf(row), width)]));
      return { ...layer, weights: weightsOf(weights, scales[0]), recurrent: recurrent === null ? null : weightsOf(recurrent, scales[1]), bias: all.bias, rows: all };
    }),
  };
}

/**
 * The network with its sliders at some stops; those at home have the trained constants themselves.
 * @param {Net} net @param {Exhibit} data @param {number[]} stops
 */
export function moved(net, { sliders }, stops) {
  const layers = net.layers.slice();
  sliders.forEach(({ layer, home, rows }, k) => {
    if (stops[k] === home) return;
    const now = Object.entries(rows).map(([name, table]) => [name, new Float32Array(layers[layer].units).fill(floatsOf(table)[stops[k]])]);
    layers[layer] = { ...layers[layer], rows: { ...layers[layer].rows, ...Object.fromEntries(now) } };
  });
  return { ...net, layers };
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
    when: when === undefined ? null : new Uint16Array(bytesOf(when).buffer), who: who === undefined ? null : new Uint32Array(bytesOf(who).buffer),
    values: values === undefined ? null : floatsOf(values),
  };
}

/**
 * What reaches the first layer.
 * @param {Exhibit} data @param {Given} given @param {number} [lost] share of the spikes, or of the numbers, that are left out
 * @returns {Signal}
 */
export function signalOf({ input, steps }, given, lost = 0) {
  const { units, table, each, kind } = input, random = randoms(1), stays = () => random() >= lost;
  if (given.values || kind === "numbers") {
    const numbers = table ? floatsOf(table) : new Float32Array(0);
    const values = given.values?.slice() ?? Float32Array.from(given.bytes ?? [], (byte) => numbers[byte]);
    return { trains: null, values: lost ? values.map((value) => (stays() ? value : 0)) : values, width: units };
  }
  let { when, who } = given;
  if (given.bytes) {
    const times = new Uint16Array(bytesOf(table).buffer);
    when = Uint16Array.from({ length: units }, (_, u) => times[/** @type {Uint8Array} */ (given.bytes)[Math.floor(u / each)] * each + (u % each)]);
    who = Uint32Array.from(when, (_, u) => u);
  }
  const kept = lost ? when?.map((t) => (stays() ? t : steps)) : when;
  return { trains: sorted(kept ?? [], who ?? [], steps, units), values: null, width: units };
}
