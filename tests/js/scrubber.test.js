import assert from "node:assert/strict";
import test from "node:test";
import { lineOf, placeOf, spaced, stepAt, targetOf } from "./js/scrubber.js";

const PLACE = { x: 46, y: 0, width: 270, height: 22 };

test("a step and its place on the axis are the same thing, in the whole run and in a window of it", () => {
  for (const range of [{ low: 0, high: 8800 }, { low: 1200, high: 1400 }, { low: 0, high: 10 }])
    for (let step = range.low; step <= range.high; step += Math.ceil((range.high - range.low) / 97))
      assert.equal(stepAt(placeOf(step, PLACE, range), PLACE, range, 1e6), step);
  assert.equal(placeOf(0, PLACE, { low: 0, high: 100 }), 46);
  assert.equal(placeOf(100, PLACE, { low: 0, high: 100 }), 316);
});

test("a hand beyond the track stays on it, and does not reach what was not trained", () => {
  const range = { low: 100, high: 300 };
  assert.equal(stepAt(-500, PLACE, range, 1000), 100);
  assert.equal(stepAt(5000, PLACE, range, 1000), 300);
  assert.equal(stepAt(5000, PLACE, range, 250), 250);
  assert.equal(stepAt(0, PLACE, { low: 0, high: 10 }, 0), 0);
});

/** @param {string} key @param {number} step @param {boolean} [shiftKey] */
const press = (key, step, shiftKey = false) => targetOf({ key, shiftKey }, step, { tip: 100, kept: [8, 40, 72], perEpoch: 24 });

test("arrows go from one kept point to the next, and from the ends no further", () => {
  assert.deepEqual([100, 72, 41, 40, 8, 0].map((step) => press("ArrowLeft", step)), [72, 40, 40, 8, 0, 0]);
  assert.deepEqual([0, 8, 39, 40, 72, 100].map((step) => press("ArrowRight", step)), [8, 40, 40, 72, 100, 100]);
});

test("up and down go step by step, with Shift or by pages from the end of one epoch to that of another", () => {
  assert.deepEqual([press("ArrowUp", 7), press("ArrowDown", 7), press("ArrowUp", 100), press("ArrowDown", 0)], [8, 6, 100, 0]);
  for (const keys of [["ArrowLeft", "ArrowRight"], ["PageDown", "PageUp"]]) {
    const shift = keys[0] === "ArrowLeft";
    assert.deepEqual([24, 25, 48, 3].map((step) => press(keys[0], step, shift)), [0, 24, 24, 0]);
    assert.deepEqual([0, 23, 24, 97].map((step) => press(keys[1], step, shift)), [24, 24, 48, 100]);
  }
});

test("Home is the start, End the tip, Escape now; other keys are for others", () => {
  assert.deepEqual(["Home", "End", "Escape", "Enter", "a", "Tab", " "].map((key) => press(key, 50)), [0, 100, "now", null, null, null, null]);
});

test("marks keep their distance", () => {
  assert.deepEqual(spaced([0, 3, 9, 10, 18.5, 18.9], 9), [0, 9, 18.5]);
  assert.deepEqual(spaced([], 9), []);
});

test("a branch has what its parents have, up to where it left them", () => {
  const lane = (/** @type {string} */ name, /** @type {string | null} */ parent, /** @type {number} */ start, /** @type {number} */ end) => ({ name, parent, start, end });
  const lanes = [lane("a", null, 0, 90), lane("b", "a", 40, 80), lane("c", "b", 60, 70), lane("d", "a", 10, 99)];
  const found = lineOf(/** @type {any} */ ({ here: "c", lanes }));
  assert.deepEqual(found.map(({ name, end }) => [name, end]), [["a", 40], ["b", 60], ["c", 70]]);
});
