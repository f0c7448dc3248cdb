import assert from "node:assert/strict";
import test from "node:test";
import { codeOf, signalOf, uniform } from "./js/coding.js";
import { decisions, play, sorted } from "./js/engine.js";
import { crc32, exp, fused, sigmoid, tanh } from "./js/exact.js";

test("a product and a sum are rounded once", () => {
  const up = 2 ** -23, a = 2 ** -12 * (1 + 2 ** -18), b = 2 ** -12 * (1 - 2 ** -18); // a b = 2^-24 - 2^-60
  assert.equal(fused(2 ** -12, 2 ** -12, 1), 1); // in the middle: to the even one
  assert.equal(fused(2 ** -12, 2 ** -12, 1 + up), 1 + 2 * up);
  assert.equal(fused(a, b, 1 + up), 1 + up); // below the middle by less than float64 sees
  assert.equal(fused(-a, b, -1 - up), -1 - up);
  assert.equal(Math.fround(Math.fround(a * b) + (1 + up)), 1 + 2 * up); // rounded twice, it would be another number
});

test("what is too small for a normal float32 is 0", () => {
  assert.equal(fused(2 ** -70, 2 ** -70, 0), 0);
  assert.equal(fused(2 ** -63, 2 ** -63, 0), 2 ** -126);
});

test("functions are what their names say, to some last bits", () => {
  for (let x = -9; x <= 9; x += 0.37) {
    const at = Math.fround(x), near = (/** @type {number} */ got, /** @type {number} */ want) => Math.abs(got - want) <= 4e-7 * Math.abs(want);
    assert.ok(near(exp(at), Math.exp(at)) && near(sigmoid(at), 1 / (1 + Math.exp(-at))) && near(tanh(at), Math.tanh(at)), `at ${x}`);
  }
});

test("the checksum is that of the standard", () => {
  assert.equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
});

test("spikes keep the order in which they came within a step, and what is out of range is dropped", () => {
  const { starts, units } = sorted([2, 0, 2, 9, 2], [5, 1, 3, 0, 8], 3, 6);
  assert.deepEqual([[...starts], [...units]], [[0, 1, 1, 3], [1, 5, 3]]);
});

test("a class leads once scores differ; the mean does not count what comes after the last step", () => {
  const readout = Float32Array.of(0, 0, 1, 2, 3, 0, 90, 0);
  assert.deepEqual([...decisions(readout, 2, "max").leads], [-1, 1, 0, 0]);
  assert.deepEqual([...decisions(readout, 2, "last").leads], [-1, 1, 0, 0]);
  assert.deepEqual([...decisions(readout, 2, "mean", 2).scores.slice(6)], [0.5, 1]);
});

/** A layer of one neuron behind one unit. @param {object} more @returns {any} */
const neuron = (more) => {
  const one = (/** @type {number} */ value) => Float32Array.of(value);
  const rows = { bias: one(0), a_syn: one(0), a: one(0.5), gain: one(1), v_th: one(1), v_reset: one(0), hold: one(0.001), rest: one(0) };
  return { name: "n", kind: "lif", inputs: 1, units: 1, delay: 0, value_reset: false, adapts: false, weights: one(1.5), recurrent: null, bias: one(0), rows, ...more };
};
const beats = { trains: sorted([0, 1, 2], [0, 0, 0], 4, 1), values: null, width: 1 };

test("one neuron: subtracting, setting, refractory, delayed, silenced", () => {
  const run = (/** @type {object} */ more, /** @type {Uint8Array | undefined} */ silent = undefined) => play({ steps: 4, layers: [neuron(more)] }, beats, [silent])[0];
  assert.deepEqual([...run({}).values], [0.5, 0.75, 0.875, 0.4375]); // 1.5 - 1, 0.25 + 1.5 - 1, ...
  assert.deepEqual([...run({ value_reset: true }).values], [0, 0, 0, 0]);
  const rows = { ...neuron({}).rows, hold: Float32Array.of(1.001) };
  assert.deepEqual([...(run({ rows }).spikes ?? [])], [1, 0, 1, 0]);
  assert.deepEqual([...(run({ delay: 2 }).spikes ?? [])], [0, 0, 1, 1]);
  assert.deepEqual([...(run({}, Uint8Array.of(1)).spikes ?? [])], [0, 0, 0, 0]);
});

test("a share of the input is left out, the same one each time", () => {
  const data = /** @type {any} */ ({ steps: 10, sliders: [], input: { units: 1000, kind: "events", table: "", each: 1 } });
  const given = { place: 0, bytes: null, values: null, when: new Uint16Array(1000), who: Uint32Array.from({ length: 1000 }, (_, k) => k) };
  const left = [0, 0.3, 0.3, 1].map((lost) => signalOf(data, given, lost).trains?.starts[10] ?? 0);
  assert.ok(left[0] === 1000 && left[1] > 600 && left[1] < 800 && left[1] === left[2] && left[3] === 0);
});

test("random numbers are those of Threefry-2x32-20", () => {
  assert.equal(uniform(0), ((0x6b200159 ^ 0x99ba4efe) >>> 9) / 2 ** 23); // key and counter 0, of Random123's known answers
});

/** A code of one constant. @param {string} kind @param {number[]} values @param {object} more @returns {any} */
const coded = (kind, values, more) => ({
  steps: 4, samples: [{}], sliders: [{ layer: -1, home: 0, values }], input: { kind, units: 2, each: 1, table: "", chances: "", ...more },
});
const numbers = (/** @type {number[]} */ ...values) => ({ bytes: null, when: null, who: null, values: Float32Array.from(values), place: 0 });

test("a change by the threshold is a spike up or down, and moves the level by as much", () => {
  const data = coded("delta", [0.5, 2], {}), given = numbers(0, 0.6, 1.4, 0.9);
  assert.deepEqual([...(signalOf(data, given).values ?? [])], [0, 0, 1, 0, 1, 0, 0, 0]); // levels 0, 0.5, 1, 1
  assert.deepEqual([...(signalOf(data, given, 0, codeOf(data, [1])).values ?? [])], [0, 0, 0, 0, 0, 0, 0, 0]);
});

test("a spike where a random number is below the chance: none at 0, all at 1, and more add to what is there", () => {
  const data = { ...coded("rate", [1, 2, 3], { chances: btoa(String.fromCharCode(...new Uint8Array(Float32Array.of(0.25, 0.5, 1).buffer))) }), steps: 400 };
  const at = (/** @type {number} */ stop) => signalOf(data, numbers(1, 0), 0, codeOf(data, [stop])).values ?? new Float32Array();
  const [few, more, all] = [0, 1, 2].map(at), sums = [few, more, all].map((values) => values.reduce((a, b) => a + b, 0));
  assert.ok(sums[0] > 60 && sums[0] < 140 && sums[1] > 140 && sums[1] < 260 && sums[2] === 400);
  assert.ok(few.every((value, k) => value <= more[k]) && all.every((value, k) => value === 1 - (k % 2)));
});
