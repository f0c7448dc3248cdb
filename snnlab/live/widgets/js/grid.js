// The positions of a slider, whole numbers, and the values that they stand for; 0 is the knob's first value.

const FARTHEST = 1e9;

/** The number that people write for a float32. @param {number} value */
export const shown = (value) => +value.toPrecision(6);

/**
 * Position `p` stands for `value + p * step`, or `value * 10 ** (p * step)` where the knob is logarithmic: 400 steps from
 * its lowest value to its highest, or 100 a decade. A value below the lowest stands at the bottom.
 * @param {{ value: number, low: number, high: number, log: boolean }} knob with its first value
 */
export function makeGrid({ value: first, low, high, log }) {
  const highest = Math.max(high, first), step = log ? 0.01 : (highest - low) / 400;
  const near = (/** @type {number} */ p) => Math.min(Math.max(p, -FARTHEST), FARTHEST);
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
