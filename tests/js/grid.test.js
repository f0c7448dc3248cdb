import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { faultOf, gridOfRange, makeGrid, shown } from "./js/grid.js";

for (const log of [false, true])
  for (const value of [0.0001, 0.3, 1, 5, 77])
    test(`a slider starts at its value ${value}, reaches both ends, and its steps are even${log ? " in ratio" : ""}`, () => {
      const low = log ? 0.0001 : 0, high = 10, top = Math.max(high, value), grid = makeGrid({ value, low, high, log });
      assert.equal(grid.position(value), 0);
      if (grid.bottom < 0) assert.equal(grid.value(0), value); // otherwise the lowest value stands there
      assert.equal(grid.value(grid.bottom), low);
      const values = [];
      for (let p = grid.bottom; p <= grid.top; p++) values.push(grid.value(p));
      values.forEach((v, k) => assert.equal(grid.position(v), grid.bottom + k));
      const axis = values.map((v) => (log ? Math.log10(v) : v)), step = log ? 0.01 : (top - low) / 400;
      for (let k = 2; k < axis.length; k++) assert.ok(Math.abs(axis[k] - axis[k - 1] - step) < 1e-3 * step + 1e-5, `step ${k}`);
      assert.ok(Math.abs(axis[axis.length - 1] - (log ? Math.log10(top) : top)) <= step);
    });

test("300 steps up and down a slider end where they began", () => {
  const grid = makeGrid({ value: 10, low: 1, high: 100, log: true });
  let value = 10;
  for (let k = 0; k < 300; k++) value = grid.value(grid.position(value) + ((Math.floor(k / 30) % 2) ? -1 : 1));
  assert.equal(value, 10);
});

test("what a page may send stays a number", () => {
  const grid = makeGrid({ value: 0.5, low: 0.1, high: 1, log: true });
  for (const position of [Infinity, -Infinity, 1e300]) assert.ok(Number.isFinite(grid.value(position)));
  for (const value of [-5, 0, 1e39, 1e300]) assert.ok(Number.isInteger(grid.position(value)));
});

test("a float32 is shown as people write it", () => {
  assert.equal(shown(Math.fround(0.1)), 0.1);
  assert.equal(shown(Math.fround(3.3e-4)), 3.3e-4);
});

for (const [range, log, values] of /** @type {[number[], boolean, number[]][]} */ ([
  [[0, 1, 0.25], false, [0, 0.25, 0.5, 0.75, 1]],
  [[0.1, 1, 0.4], false, [0.1, 0.5, 0.9, 1]], // its highest value is reached, though the last step is shorter
  [[-70, -40, 10], false, [-70, -60, -50, -40]],
  [[1, 100, 10], true, [1, 10, 100]],
  [[1, 50, 10], true, [1, 10, 50]],
]))
  test(`a slider from ${range[0]} to ${range[1]} in steps of ${range[2]}${log ? " (factor)" : ""} has the values ${values}`, () => {
    const grid = gridOfRange(range, log);
    assert.deepEqual(Array.from({ length: grid.top - grid.bottom + 1 }, (_, k) => grid.value(grid.bottom + k)), values);
    assert.deepEqual(values.map((value) => grid.position(value)), values.map((_, k) => k));
    assert.ok(grid.position(range[1] * (range[1] > 0 ? 1e3 : 1e-3)) > grid.top); // a value beyond the range makes the slider longer
  });

test("what a range must be", () => {
  const knob = { log: false, least: 0 }, log = { log: true, least: null };
  assert.equal(faultOf([0, 1, 0.1], knob), "");
  assert.equal(faultOf([0.1, 1, 1.5], log), "");
  for (const range of [[NaN, 1, 0.1], [-1, 1, 0.1], [1, 1, 0.1], [0, 1, 0], [0, 1, 1.1], [0, 1, Infinity]]) assert.notEqual(faultOf(range, knob), "");
  for (const range of [[0, 1, 1.1], [-1, 1, 1.1], [1, 10, 1], [1, 10, 11]]) assert.notEqual(faultOf(range, log), "");
});

// ipywidgets compute the same in Python: tests/live/test_grid.py reads the same table.
for (const { knob, bottom, top, values, positions } of JSON.parse(readFileSync("grid.json", "utf-8")))
  test(`positions and values stand in the table: ${JSON.stringify(knob)}`, () => {
    const grid = makeGrid(knob);
    assert.deepEqual([grid.bottom, grid.top], [bottom, top]);
    assert.deepEqual(values.map((/** @type {[number, number]} */ [at]) => [at, grid.value(at)]), values);
    assert.deepEqual(positions.map((/** @type {[number, number]} */ [value]) => [value, grid.position(value)]), positions);
  });
