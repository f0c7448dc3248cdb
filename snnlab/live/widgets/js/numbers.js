// Numbers as people read them; frames/numbers.py writes the same in Python.

const SUPERSCRIPT = Object.fromEntries([..."0123456789-"].map((sign, k) => [sign, "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"[k]]));

/** A whole power of ten. @param {number} exponent */
export const powerOfTen = (exponent) => `10${[...String(exponent)].map((sign) => SUPERSCRIPT[sign]).join("")}`;

const WRITTEN = new Intl.NumberFormat("en", { maximumSignificantDigits: 15 }); // one for all: it takes long to make

const LARGE = /** @type {const} */ ([[1e12, "trillion"], [1e9, "billion"], [1e6, "million"]]);

/**
 * A number with some significant digits; in front of the point none is lost, up to a million: 1,235 and 12.3 million.
 * @param {number} value
 * @param {number} [digits]
 */
export function readable(value, digits = 3) {
  if (Number.isNaN(value)) return "not a number";
  const sign = value < 0 ? "−" : "", size = Math.abs(value);
  if (!Number.isFinite(value)) return sign ? "minus infinite" : "infinite";
  const rounded = size >= 10 ** (digits - 1) && size < 1e6 ? Math.round(size) : +size.toPrecision(digits);
  if (rounded === 0) return "0";
  if (rounded < 1e-4 || rounded >= 1e15) {
    const [first, exponent] = rounded.toExponential(digits - 1).split("e");
    return `${sign}${+first} × ${powerOfTen(+exponent)}`;
  }
  const [unit, name] = LARGE.find(([least]) => rounded >= least) ?? [1, ""];
  return `${sign}${WRITTEN.format(rounded / unit)} ${name}`.trimEnd();
}

/**
 * A share, with a decimal if it needs one; what is not everything does not become 100%, nor what is something 0%.
 * @param {number} share
 */
export function percent(share) {
  if (Number.isNaN(share)) return readable(share);
  const rounded = Math.round(1000 * share) / 10;
  if (rounded === 0 && share > 0) return "<0.1%";
  return rounded === 100 && share < 1 ? ">99.9%" : `${rounded}%`;
}

/**
 * A count and its noun: "1 neuron", "1,200 neurons".
 * @param {number} count
 * @param {string} noun
 */
export const counted = (count, noun) => `${WRITTEN.format(count)} ${noun}${count === 1 ? "" : "s"}`;
