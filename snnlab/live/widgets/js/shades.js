// Colours of a map: a score from dark to bright, spikes from bright to dark; and what is legible on them.
import { STYLE } from "./style.js";

export const HIGH = STYLE.shades.high;
export const LOW = STYLE.shades.low;

/** Where a value is between two ends, from 0 to 1. @param {number} value @param {[number, number]} ends @param {boolean} log */
export function shareOf(value, [low, high], log) {
  if (log) return value > 0 ? Math.min(Math.max(Math.log(value / low) / Math.log(high / low), 0), 1) : 0;
  return Math.min(Math.max((value - low) / (high - low), 0), 1);
}

/** The colour of a share; between two shades that are given it is mixed. @param {string[]} shades @param {number} share */
export function shade(shades, share) {
  const at = share * (shades.length - 1), k = Math.min(Math.floor(at), shades.length - 2), part = at - k;
  const mixed = [1, 3, 5].map((n) => {
    const [a, b] = [shades[k], shades[k + 1]].map((colour) => parseInt(colour.slice(n, n + 2), 16));
    return Math.round(a + part * (b - a));
  });
  return `#${mixed.map((level) => level.toString(16).padStart(2, "0")).join("")}`;
}

/** What is drawn over a colour: white on dark ones, black on bright ones. @param {string} colour */
export function over(colour) {
  const [r, g, b] = [1, 3, 5].map((n) => (parseInt(colour.slice(n, n + 2), 16) / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#000000" : "#ffffff";
}
