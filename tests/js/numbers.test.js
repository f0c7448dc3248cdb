import assert from "node:assert/strict";
import test from "node:test";
import { counted, percent, readable } from "./js/numbers.js";

/** @type {[number, string][]} the same cases as in frames/numbers.py */
const WRITTEN = [
  [0.98765, "0.988"], [58.4321, "58.4"], [1234.6, "1,235"], [-12, "−12"], [12345678, "12.3 million"], [0.00012, "0.00012"],
  [1.234e-7, "1.23 × 10⁻⁷"], [5e18, "5 × 10¹⁸"], [Infinity, "infinite"], [NaN, "not a number"], [0, "0"], [-3e-9, "−3 × 10⁻⁹"],
  [999999, "999,999"], [3e7, "30 million"], [-Infinity, "minus infinite"],
];
for (const [value, words] of WRITTEN) test(`${value} reads ${words}`, () => assert.equal(readable(value), words));

test("more digits show more of a number", () => assert.equal(readable(1.234567, 7), "1.234567"));

test("a count and its noun agree", () => {
  assert.equal(counted(1, "neuron"), "1 neuron");
  assert.equal(counted(0, "spike"), "0 spikes");
  assert.equal(counted(4000, "neuron"), "4,000 neurons");
});

/** @type {[number, string][]} */
const SHARES = [[0.973, "97.3%"], [0.5, "50%"], [1, "100%"], [0, "0%"], [0.99999, ">99.9%"], [1e-5, "<0.1%"], [NaN, "not a number"]];
for (const [share, words] of SHARES) test(`the share ${share} reads ${words}`, () => assert.equal(percent(share), words));
