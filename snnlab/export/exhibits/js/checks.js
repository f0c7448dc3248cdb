// Is what the page computes what Python computed?
import { signalOf } from "./coding.js";
import { decisions, play } from "./engine.js";
import { crc32 } from "./exact.js";
import { floatsOf, givenBy } from "./stored.js";

/** @typedef {import("./exhibit").Exhibit} Exhibit @typedef {import("./exhibit").Net} Net */

/** @param {Float32Array} values */
const raw = (values) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/**
 * Play a sample as trained, and compare: spikes, and readout where it is exact, by their checksums, else the scores; and
 * the class.
 * @param {Exhibit} data @param {Net} net @param {number} k
 */
export function check(data, net, k) {
  const sample = data.samples[k], layers = play(net, signalOf(data, givenBy(data, k))), last = layers.length - 1;
  const sums = layers.flatMap(({ spikes, values }, layer) =>
    (spikes ? crc32(spikes) : data.outputs && layer < last ? crc32(raw(values)) : []));
  if (data.exact) sums.push(crc32(raw(layers[last].values)));
  const { scores, answer } = verdict(data, layers[last].values, sample.length), wanted = floatsOf(sample.scores ?? "");
  const far = wanted.reduce((most, value, c) => Math.max(most, Math.abs(value - scores[c])), 0);
  const same = sums.length === sample.checks.length && sums.every((sum, c) => sum === sample.checks[c]);
  return { same: same && answer === sample.answer && far <= data.bound, answer, layers };
}

/** Whether weights, constants and samples are still what was written. @param {Exhibit} data */
export function sealed({ layers, samples, seal }) {
  const parts = layers.flatMap(({ weights, recurrent, rows }) => [weights, recurrent ?? "", ...Object.values(rows)]);
  const given = samples.flatMap(({ bytes, when, who, values }) => [bytes ?? "", when ?? "", who ?? "", values ?? ""]);
  return crc32(new TextEncoder().encode([...parts, ...given].join(""))) === seal;
}

/** The scores at the end, and the class. @param {Exhibit} data @param {Float32Array} readout @param {number} [length] */
export function verdict({ classes, rule, steps }, readout, length) {
  const { scores } = decisions(readout, classes.length, rule, length), last = scores.slice((steps - 1) * classes.length);
  return { scores: last, answer: last.reduce((best, value, c) => (value > last[best] ? c : best), 0) };
}

/** What the page says of its check. @param {Exhibit} data @param {boolean[]} same @param {boolean} whole */
export function words({ exact, outputs, layers, samples }, same, whole) {
  const right = same.filter(Boolean).length, spiking = layers.some(({ kind }) => kind === "lif");
  const what = `every ${spiking ? "spike" : outputs ? "output" : "class"} as in Python`;
  const known = samples.filter(({ differs }, k) => differs && !same[k]).length, others = same.length - right - known;
  const rest = [
    `${right} of ${same.length} samples, ${what}${exact || known + others ? "" : ", scores within the stated bound"}`,
    known && `${known} known to differ when the page was written`,
    others && `${others} NOT as in Python: this file was changed, or your browser computes differently`,
    !whole && "THIS FILE WAS CHANGED after it was written",
  ];
  return rest.filter(Boolean).join("; ");
}
