// Reads what the page carries: arrays in base64, samples, constants at the stops of the sliders.

/** @typedef {import("./exhibit").Exhibit} Exhibit */
/** @typedef {import("./exhibit").Net} Net @typedef {import("./exhibit").Layer} Layer */
/** @typedef {import("./exhibit").Given} Given */

/** @param {string} words base64 */
export function bytesOf(words) {
  const text = atob(words), bytes = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
  return bytes;
}
/** @param {string} words */
export const floatsOf = (words) => new Float32Array(bytesOf(words).buffer);
/** @param {string} words */
export const stepsOf = (words) => new Uint16Array(bytesOf(words).buffer);

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
 * The constants of a layer at a stop: one for all neurons, or one for each; without a table they are the stops themselves.
 * @param {string} table @param {number} stop @param {number[]} stops @param {number} units
 */
function rowAt(table, stop, stops, units) {
  const values = table ? floatsOf(table) : Float32Array.from(stops), width = values.length / stops.length;
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
      [name, rowAt(table, stops[k], sliders[k].values, layer.units)]));
    return { ...layer, rows: { ...layer.rows, ...Object.fromEntries(now) } };
  });
  return { ...net, layers, stops };
}

/** What a sample carries. @param {Exhibit} data @param {number} place of the sample @returns {Given} */
export function givenBy({ samples }, place) {
  const { bytes, when, who, values } = samples[place];
  return {
    place,
    bytes: bytes === undefined ? null : bytesOf(bytes),
    when: when === undefined ? null : stepsOf(when),
    who: who === undefined ? null : new Uint32Array(bytesOf(who).buffer),
    values: values === undefined ? null : floatsOf(values),
  };
}
