// Arithmetic in float32 as snnlab's CPU kernels do it: a product and a sum are one operation, rounded once.

const TINY = 2 ** -126; // what is nearer to 0 becomes 0, as in programs of XLA

/** @param {number} x */
export const flushed = (x) => (x < TINY && x > -TINY ? 0 : x);

/** `a b`, rounded to float32. @param {number} a @param {number} b */
export const times = (a, b) => flushed(Math.fround(a * b));

/**
 * `a b + c`, rounded once to float32. The product of two float32 is exact in float64, the sum need not be: where it lies
 * in the middle between two float32, what float64 has lost decides.
 * @param {number} a @param {number} b @param {number} c float32
 */
export function fused(a, b, c) {
  const product = a * b, sum = product + c, near = Math.fround(sum), rest = sum - near;
  if (rest) {
    const other = near + 2 * rest;
    if (Math.fround(other) === other) {
      const back = sum - product, lost = product - (sum - back) + (c - back); // exact, Knuth's TwoSum
      if (lost && lost > 0 === rest > 0) return flushed(other);
    }
  }
  return flushed(near);
}

const CLOSE = 12582912; // 1.5 * 2^23: adding it rounds to whole numbers
const [LOG2E, HIGH, LOW] = [1.4426950408889634, 0.693359375, 2.12194440e-4].map(Math.fround);
const TAYLOR = [1 / 720, 1 / 120, 1 / 24, 1 / 6, 0.5, 1, 1].map(Math.fround), LAST = Math.fround(1 / 5040);

/** `e^x` by the steps of `snnlab.kernels.cpu.simd.exp`. @param {number} x */
export function exp(x) {
  x = x <= -87 ? -87 : x >= 88 ? 88 : x;
  const k = Math.fround(fused(x, LOG2E, CLOSE) - CLOSE), r = fused(k, LOW, fused(-k, HIGH, x));
  return times(TAYLOR.reduce((p, c) => fused(p, r, c), LAST), 2 ** k);
}

const P = [1.5292524320323525e-8, 2.193916843474553e-5, 3.5743159503715096e-3, 1.3446797511664424e-1, 1].map(Math.fround);
const Q = [8.547719848492315e-7, 3.415722942466639e-4, 2.6174813748394737e-2, 4.6780126823399826e-1, 1].map(Math.fround);

/** By the steps of `snnlab.kernels.cpu.lstm`. @param {number} x */
export function tanh(x) {
  x = x >= 8 ? 8 : x <= -8 ? -8 : x;
  const y = times(x, x), at = (/** @type {number[]} */ c) => c.slice(1).reduce((p, next) => fused(p, y, next), c[0]);
  return flushed(Math.fround(times(x, at(P)) / at(Q)));
}

/** @param {number} x */
export const sigmoid = (x) => flushed(Math.fround(1 / Math.fround(1 + exp(-x))));

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n;
});

/** The checksum that `zlib.crc32` computes. @param {Uint8Array} bytes */
export function crc32(bytes) {
  let c = -1;
  for (let k = 0; k < bytes.length; k++) c = TABLE[(c ^ bytes[k]) & 255] ^ (c >>> 8);
  return (c ^ -1) >>> 0;
}
