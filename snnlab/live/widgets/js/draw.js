// What the hand-drawn views share: decoding, scales, text, lines, images.
import { readable } from "./numbers.js";
import { STYLE } from "./style.js"; // from frames/style.py

/** @typedef {import("./types").Pen} Pen @typedef {import("./types").Box} Box */

export const [BLUE, ORANGE, GREEN, VERMILION] = STYLE.colours;
/** Colour and dash of line `k` of many. @param {number} k @returns {{ colour: string, dash: number[] }} */
export const lookOf = (k) => {
  const [colour, dash] = STYLE.many[k % STYLE.many.length];
  return { colour, dash };
};

// ---- decoding: bytes arrive as a DataView that need not be aligned ----

/** @param {DataView} view */
export const bytesOf = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
/** @param {DataView} view */
const aligned = (view) => view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
/** @param {DataView} view */
export const floatsOf = (view) => new Float32Array(aligned(view));
/** @param {DataView} view */
export const intsOf = (view) => new Int32Array(aligned(view));
/** @param {Uint8Array} bytes @param {number} k */
export const bitOf = (bytes, k) => bytes[k >> 3] & (128 >> (k & 7));

// ---- numbers and scales ----

/** Maps low..high to start..end. @param {number} low @param {number} high @param {number} start @param {number} end */
export const scale = (low, high, start, end) => (/** @type {number} */ value) => start + ((value - low) * (end - start)) / (high - low || 1);

/** Round numbers between two ends. @param {number} low @param {number} high @param {number} count */
export function ticks(low, high, count) {
  const rough = (high - low || 1) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = (STYLE.steps.find((/** @type {number} */ k) => k * power >= rough * 0.999) ?? 10) * power;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-6); k <= high / step + 1e-6; k++) found.push(+(k * step).toPrecision(12));
  return found;
}

// ---- drawing; `pen` is a 2d context with the theme ----

/**
 * Note that a part of the canvas has an explanation, see `explain.js`: by default the line of words above a plot.
 * @param {Pen} pen @param {string} key @param {Box} place @param {number} [above] height of that line; 0: the place itself
 */
export function explained(pen, key, { x, y, width, height }, above = 18) {
  pen.explained.push({ key, box: { x, y: y - above, width, height: above || height } });
}

/**
 * @param {Pen} pen @param {string} words @param {number} x @param {number} y @param {import("./types").Words} [look]
 */
export function text(pen, words, x, y, { align = "left", bold = false, size = 12, alpha = 1, colour, room, halo } = {}) {
  pen.font = `${bold ? "600 " : ""}${size}px ${pen.theme.font}`;
  pen.textAlign = align;
  let wide = pen.measureText(words).width;
  if (room !== undefined && wide > room) {
    words = fit(pen, words, room);
    wide = pen.measureText(words).width;
  }
  if (halo) {
    Object.assign(pen, { strokeStyle: pen.theme.paper, lineWidth: 3, lineJoin: "round" });
    pen.strokeText(words, x, y);
  }
  pen.globalAlpha = alpha;
  pen.fillStyle = colour || pen.theme.ink;
  pen.fillText(words, x, y);
  pen.globalAlpha = 1;
  return wide;
}

/**
 * @param {Pen} pen @param {string} words @param {number} [room]
 */
export function fit(pen, words, room = Infinity) {
  if (pen.measureText(words).width <= room) return words;
  while (words && pen.measureText(`${words}\u2026`).width > room) words = words.slice(0, -1);
  return `${words}\u2026`;
}

/**
 * @param {Pen} pen @param {number} x @param {number} y @param {number} width @param {number} height
 * @param {{ colour?: string, alpha?: number }} [look]
 */
export function fill(pen, x, y, width, height, { colour, alpha = 1 } = {}) {
  pen.globalAlpha = alpha;
  pen.fillStyle = colour || pen.theme.ink;
  pen.fillRect(x, y, width, height);
  pen.globalAlpha = 1;
}

/**
 * Through the points; a y that is NaN leaves a gap.
 * @param {Pen} pen @param {import("./types").Point[]} points @param {import("./types").Line} [look]
 */
export function line(pen, points, { colour, width = 1, dash = [], alpha = 1 } = {}) {
  Object.assign(pen, { strokeStyle: colour || pen.theme.ink, lineWidth: width, lineJoin: "round", globalAlpha: alpha });
  pen.setLineDash(dash);
  pen.beginPath();
  let broken = true;
  for (const [x, y] of points) {
    if (!Number.isNaN(y)) broken ? pen.moveTo(x, y) : pen.lineTo(x, y);
    broken = Number.isNaN(y);
  }
  pen.stroke();
  pen.setLineDash([]);
  pen.globalAlpha = 1;
}

/**
 * The outline of a box, as hairlines on whole pixels.
 * @param {Pen} pen @param {Box} place @param {number} [alpha]
 */
export function box(pen, { x, y, width, height }, alpha = 0.35) {
  Object.assign(pen, { strokeStyle: pen.theme.ink, lineWidth: 1, globalAlpha: alpha });
  pen.strokeRect(Math.round(x) - 0.5, Math.round(y) - 0.5, Math.round(width) + 1, Math.round(height) + 1);
  pen.globalAlpha = 1;
}

/**
 * @param {Pen} pen @param {number} x @param {number} y @param {string} colour
 */
export function dot(pen, x, y, colour) {
  pen.fillStyle = colour;
  pen.beginPath();
  pen.arc(x, y, 4, 0, 2 * Math.PI);
  pen.fill();
}

/**
 * An arrow to the right with its tip at (x, y).
 * @param {Pen} pen @param {number} x @param {number} y @param {string} colour
 */
export function arrow(pen, x, y, colour) {
  pen.fillStyle = colour;
  pen.beginPath();
  for (const [dx, dy] of [[0, 0], [-8, -5], [-8, 5]]) pen.lineTo(x + dx, y + dy);
  pen.fill();
}

/**
 * Ticks and numbers under a box; `word(tick)` formats a number, `at(tick)` places it.
 * @param {Pen} pen @param {Box} place @param {number[]} marks @param {(tick: number) => number} at
 * @param {(tick: number) => string} word
 */
export function axisUnder(pen, { y, height }, marks, at, word) {
  for (const tick of marks) {
    line(pen, [[at(tick), y + height], [at(tick), y + height + 4]], { alpha: 0.5 });
    const words = word(tick);
    pen.font = `11px ${pen.theme.font}`;
    const half = pen.measureText(words).width / 2 + 1, edge = pen.size.width; // stay on the canvas
    text(pen, words, Math.max(half, Math.min(at(tick), edge - half)), y + height + 16, { align: "center", size: 11, alpha: 0.8 });
  }
}

/**
 * The same at the left of a box, from `low` at its bottom to `high` at its top; returns value -> y.
 * @param {Pen} pen @param {Box} place @param {number} low @param {number} high @param {number} count
 */
export function axisBeside(pen, { x, y, width, height }, low, high, count) {
  const at = scale(low, high, y + height, y), marks = ticks(low, high, count), apart = marks.length > 1 ? marks[1] - marks[0] : 1;
  const digits = Math.max(3, Math.ceil(Math.log10(Math.max(Math.abs(low), Math.abs(high)) / apart)) + 1); // so that they differ
  for (const tick of marks) {
    line(pen, [[x - 4, at(tick)], [x, at(tick)]], { alpha: 0.5 });
    if (tick === 0) line(pen, [[x, at(0)], [x + width, at(0)]], { alpha: 0.25 });
    text(pen, readable(tick, digits), x - 7, at(tick) + 4, { align: "right", size: 11, alpha: 0.8 });
  }
  return at;
}

/**
 * Spikes as bits, row = time: one mark each, high enough to see, with a gap to the next step.
 * @param {Pen} pen @param {DataView} bits @param {number} columns @param {number} units @param {Box} place
 * @param {{ colour?: string, alpha?: number, from?: number, to?: number, large?: boolean }} [look] `from` and `to`: columns
 */
export function spikeMarks(pen, bits, columns, units, { x, y, width, height }, { colour, alpha = 1, from = 0, to = columns, large = false } = {}) {
  const bytes = bytesOf(bits), dx = width / columns, dy = height / units;
  const wide = large ? 5 : Math.max(Math.min(0.6 * dx, 2.5), 1.2), tall = Math.max(0.85 * dy, large ? 6 : 3);
  pen.fillStyle = colour || pen.theme.ink;
  pen.globalAlpha = alpha;
  for (let t = from, k = from * units; t < to; t++)
    for (let n = 0; n < units; n++, k++)
      if (bitOf(bytes, k)) pen.fillRect(x + (t + 0.5) * dx - wide / 2, y + (n + 0.5) * dy - tall / 2, wide, tall);
  pen.globalAlpha = 1;
}

/** @param {number[]} from @param {number[]} to @param {number} share */
const mix = (from, to, share) => from.map((v, k) => v + (to[k] - v) * share);
/** @param {number} byte */
export const grey = (byte) => [byte, byte, byte];
/** @param {string} colour */
const rgb = (colour) => [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));
const [COLD, WHITE, WARM] = [BLUE, "#ffffff", VERMILION].map(rgb);
/** Blue below the middle, vermilion above. @param {number} byte */
export const diverging = (byte) => mix(WHITE, byte < 128 ? COLD : WARM, Math.abs(byte - 128) / 127);

/**
 * An image of one byte per pixel, stretched over a box.
 * @param {Pen} pen @param {import("./types").Picture} image @param {(byte: number) => number[]} colour @param {Box} place
 */
export function picture(pen, { rows, columns, bytes }, colour, { x, y, width, height }) {
  const small = document.createElement("canvas"), data = new ImageData(columns, rows);
  const table = Uint8ClampedArray.from(Array.from({ length: 256 }, (_, byte) => [...colour(byte), 255]).flat());
  const colours = new Uint32Array(table.buffer), pixels = new Uint32Array(data.data.buffer);
  bytesOf(bytes).forEach((byte, k) => (pixels[k] = colours[byte]));
  Object.assign(small, { width: columns, height: rows });
  /** @type {CanvasRenderingContext2D} */ (small.getContext("2d")).putImageData(data, 0, 0);
  pen.imageSmoothingEnabled = columns > width || rows > height;
  pen.drawImage(small, x, y, width, height);
}

/**
 * At most 4 : 1, so that neither a long signal nor a few numbers disappear.
 * @param {import("./types").Picture} image @param {number} size
 */
export function shapeOf({ rows, columns }, size) {
  const ratio = Math.min(Math.max(columns / rows, 0.25), 4);
  return { width: size * Math.min(1, ratio), height: size / Math.max(1, ratio) };
}

/**
 * The key to the colours of `diverging`, from -end to end.
 * @param {Pen} pen @param {number} end @param {number} x @param {number} y
 */
export function scaleBar(pen, end, x, y) {
  const from = x + 4 + text(pen, readable(-end, 2), x, y + 7, { size: 11 });
  for (let k = 0; k < 40; k++) fill(pen, from + k, y, 1.2, 7, { colour: `rgb(${diverging(1 + k * 6.5)})` });
  box(pen, { x: from, y, width: 40, height: 7 });
  text(pen, readable(end, 2), from + 45, y + 7, { size: 11 });
}

/** Draw nothing outside a box. @param {Pen} pen @param {Box} place @param {() => void} paint */
export function within(pen, { x, y, width, height }, paint) {
  pen.save();
  pen.beginPath();
  pen.rect(x, y - 1, width, height + 2);
  pen.clip();
  paint();
  pen.restore();
}
