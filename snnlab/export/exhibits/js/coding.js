// The code of the network: what its input becomes, also with the constants of the code at other stops of their sliders.
import { sorted, trainsOf } from "./engine.js";
import { bytesOf, floatsOf, stepsOf } from "./stored.js";

/** @typedef {import("./exhibit").Exhibit} Exhibit @typedef {import("./exhibit").Given} Given */
/** @typedef {import("./exhibit").Signal} Signal @typedef {import("./exhibit").Code} Code */

/**
 * What each of the 256 bytes becomes with the sliders of the code at some stops: as trained the encoder's own table; else
 * by its rule in double precision, but for the few bytes that float32 rounds to another step, which Python has listed.
 * @param {Exhibit} data @param {number[]} moves stops of the sliders of the code @param {boolean} home whether as trained
 * @returns {Uint16Array}
 */
function stepsAt({ input, sliders, steps }, moves, home) {
  const { table, dt, rule, listed, open, limits } = input;
  if (!rule || home) return stepsOf(table);
  if (rule === "cutoff") {
    const last = bytesOf(limits);
    return stepsOf(open).map((step, k) => (moves[0] < last[k] ? step : steps));
  }
  const [tau, threshold] = sliders.filter(({ layer }) => layer < 0).map(({ values }, k) => values[moves[k]]);
  const found = Uint16Array.from({ length: 256 }, (_, byte) => {
    const x = byte / 255, step = x > threshold ? Math.floor((tau / dt) * Math.log(x / (x - threshold))) : steps;
    return step < steps ? step : steps;
  });
  for (const [first, second, byte, step] of listed) if (first === moves[0] && second === moves[1]) found[byte] = step;
  return found;
}

/**
 * The code with its sliders at some stops.
 * @param {Exhibit} data @param {number[]} [stops] as trained without @returns {Code}
 */
export function codeOf(data, stops) {
  const { input, sliders } = data, own = [...sliders.keys()].filter((k) => sliders[k].layer < 0);
  const moves = own.map((k) => (stops ?? [])[k] ?? sliders[k].home), home = own.every((k, c) => moves[c] === sliders[k].home);
  if (input.kind === "table") return { table: stepsAt(data, moves, home), constant: 0 };
  const constant = input.kind === "rate" ? floatsOf(input.chances)[moves[0]]
    : input.kind === "delta" ? Math.fround(sliders[own[0]].values[moves[0]]) : 0;
  return { table: floatsOf(input.table), constant };
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

const KEY = 0x1bd11bda, INTO_A = [0, KEY, 0, 0, KEY], INTO_B = [KEY + 1, 2, 3, KEY + 4, 5]; // of the key 0

/**
 * The number in 0..1 that `jax.random.uniform(jax.random.key(0), shape)` has at a place: Threefry-2x32 with 20 rounds.
 * Source: Salmon et al. (2011), DOI 10.1145/2063384.2063405.
 * @param {number} place in the flat array
 */
export function uniform(place) {
  let a = Math.floor(place / 2 ** 32) | 0, b = place | 0;
  for (let k = 0; k < 5; k++) { // four rounds each, written out for speed
    const odd = k % 2, first = odd ? 17 : 13, second = odd ? 29 : 15, third = odd ? 16 : 26, fourth = odd ? 24 : 6;
    a = (a + b) | 0;
    b = ((b << first) | (b >>> (32 - first))) ^ a;
    a = (a + b) | 0;
    b = ((b << second) | (b >>> (32 - second))) ^ a;
    a = (a + b) | 0;
    b = ((b << third) | (b >>> (32 - third))) ^ a;
    a = (a + b) | 0;
    b = (((b << fourth) | (b >>> (32 - fourth))) ^ a) + INTO_B[k] | 0;
    a = (a + INTO_A[k]) | 0;
  }
  return ((a ^ b) >>> 9) / 2 ** 23;
}

/**
 * Spikes at random, see `snnlab.encode.Rate`: with the random numbers that Python had for sample `k` of `count`.
 * @param {Float32Array} numbers @param {number} chance of a spike in a step for an input of 1
 * @param {number} steps @param {number} k @param {number} count
 */
function drawn(numbers, chance, steps, k, count) {
  const width = numbers.length, values = new Float32Array(steps * width), chances = numbers.map((x) => x * chance);
  for (let t = 0, at = 0; t < steps; t++)
    for (let u = 0, place = (t * count + k) * width; u < width; u++, place++, at++)
      if (chances[u] > 0 && uniform(place) < chances[u]) values[at] = 1;
  return values;
}

/**
 * A spike for every change by `least`, see `snnlab.encode.Delta`: up, then down.
 * @param {Float32Array} numbers row = time @param {number} least @param {number} steps
 */
function changes(numbers, least, steps) {
  const width = numbers.length / steps, values = new Float32Array(2 * numbers.length), level = numbers.slice(0, width);
  for (let t = 0, at = 0; t < steps; t++, at += width) {
    for (let u = 0; u < width; u++) {
      const change = Math.fround(numbers[t * width + u] - level[u]), up = change >= least, down = change <= -least;
      level[u] += least * (+up - +down);
      values[at + t * width + u] = +up;
      values[at + (t + 1) * width + u] = +down;
    }
  }
  return values;
}

/**
 * Numbers at every step, as the code makes them.
 * @param {Exhibit} data @param {Given} given @param {Code} code
 */
function numbersOf({ input, steps, samples }, { bytes, values, place }, { table, constant }) {
  const numbers = values ?? Float32Array.from(bytes ?? [], (byte) => table[byte]);
  if (input.kind === "rate") return drawn(numbers, constant, steps, place, samples.length);
  return input.kind === "delta" ? changes(numbers, constant, steps) : numbers;
}

/**
 * What reaches the first layer.
 * @param {Exhibit} data @param {Given} given
 * @param {number} [lost] share of the spikes, or of the numbers, that are left out
 * @param {Code} [code] see `codeOf`
 * @returns {Signal}
 */
export function signalOf(data, given, lost = 0, code = codeOf(data)) {
  const { units, each, kind } = data.input, { steps } = data, random = randoms(1), stays = () => random() >= lost;
  if (given.values || ["numbers", "rate", "delta"].includes(kind)) {
    const all = numbersOf(data, given, code), values = lost ? all.map((value) => (value && stays() ? value : 0)) : all;
    return { trains: kind === "numbers" || kind === "none" ? null : trainsOf(values, units), values, width: units };
  }
  let { when, who } = given;
  const { bytes } = given, { table } = code;
  if (bytes) {
    when = Uint16Array.from({ length: units }, (_, u) => table[bytes[Math.floor(u / each)] * each + (u % each)]);
    who = Uint32Array.from(when, (_, u) => u);
  }
  const kept = lost ? when?.map((t) => (stays() ? t : steps)) : when;
  return { trains: sorted(kept ?? [], who ?? [], steps, units), values: null, width: units };
}
