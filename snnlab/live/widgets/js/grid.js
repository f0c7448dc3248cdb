// The positions of a slider, whole numbers, and the values that they stand for; 0 is the knob's first value.

const FARTHEST = 1e9;

/** @param {number} p */
const near = (p) => Math.min(Math.max(p, -FARTHEST), FARTHEST);

/** The number that people write for a float32. @param {number} value */
export const shown = (value) => +value.toPrecision(6);

/**
 * Position `p` stands for `value + p * step`, or `value * 10 ** (p * step)` where the knob is logarithmic: 400 steps from
 * its lowest value to its highest, or 100 a decade. A value below the lowest stands at the bottom.
 * @param {{ value: number, low: number, high: number, log: boolean }} knob with its first value
 */
export function makeGrid({ value: first, low, high, log }) {
  const highest = Math.max(high, first), step = log ? 0.01 : (highest - low) / 400;
  const position = (/** @type {number} */ value) => {
    const distance = log ? Math.log10(Math.max(value, low) / first) : Math.max(value, low) - first;
    return Math.round(near(distance / step)) || 0; // never -0
  };
  const bottom = position(low), top = position(highest);
  const value = (/** @type {number} */ p) => {
    const distance = near(p) * step, at = log ? first * 10 ** Math.min(distance, 300) : first + distance;
    return p === bottom ? low : Math.max(low, shown(at));
  };
  return { bottom, top, position, value };
}

/**
 * The positions of a slider whose range and step the user has chosen: they count from its lowest value, and its last one
 * is its highest. Of a logarithmic knob the step is the factor from one value to the next.
 * @param {number[]} range lowest, highest, step @param {boolean} log
 */
export function gridOfRange([low, high, step], log) {
  const far = log ? Math.log(high / low) / Math.log(step) : (high - low) / step, top = Math.ceil(far - 1e-9);
  const position = (/** @type {number} */ value) => {
    const at = log ? Math.log(Math.max(value, low) / low) / Math.log(step) : (value - low) / step;
    return value >= high && at <= far + 0.5 ? top : Math.round(near(at)) || 0;
  };
  const value = (/** @type {number} */ p) => (p >= top ? high : Math.max(low, shown(log ? low * step ** p : low + p * step)));
  return { bottom: 0, top, position, value };
}

/**
 * What is wrong with a range, in words; nothing if it can be used.
 * @param {number[]} range lowest, highest, step @param {{ log: boolean, least: number | null }} knob
 */
export function faultOf([low, high, step], { log, least }) {
  if (![low, high, step].every(Number.isFinite)) return "three numbers are needed";
  if (least !== null && low < least) return `the lowest value must be at least ${least}`;
  if (low >= high) return "the highest value must be above the lowest";
  if (log && low <= 0) return "the lowest value must be above 0: the slider is logarithmic";
  if (log ? step <= 1 || step > high / low : step <= 0 || step > high - low)
    return log ? "the factor must be above 1, and reach no farther than the range" : "the step must be above 0, and no longer than the range";
  return "";
}
