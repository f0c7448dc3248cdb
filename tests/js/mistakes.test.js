import assert from "node:assert/strict";
import test from "node:test";
import { barAt, barsOf, drawBars, drawScatter, outputAt, pointAt, scatterOf, wordsOfBar } from "./js/mistakes.js";
import { SvgPen } from "./js/svgpen.js";

const floats = (/** @type {number[]} */ values) => new DataView(Float32Array.from(values).buffer);
const ints = (/** @type {number[]} */ values) => new DataView(Int32Array.from(values).buffer);
const several = { short: ["cat", "dog"], names: ["cat", "dog"], shown: [0, 3], kinds: ["found", "missed", "claimed wrongly"], counts: [[6, 2, 2], [1, 0, 0]] };
const numbers = { names: ["a", "b"], output: 0, range: [0, 10], x: floats([0, 5, 10]), y: floats([0, 6, 9]), samples: ints([4, 7, 9]) };
const penOf = () => /** @type {any} */ (new SvgPen(400, 500, { ink: "#111", paper: "#fff", font: "sans" }, (words) => 6 * words.length));

test("bars are as long as their counts, one after the other", () => {
  const [[found, missed, wrong], [one]] = barsOf(several, 360);
  assert.ok(Math.abs(found.width / missed.width - 3) < 1e-9 && Math.abs(found.x + found.width - missed.x) < 1e-9);
  assert.ok(Math.abs(wrong.x + wrong.width - (360 - 12)) < 1e-9 && Math.abs(one.width * 6 - found.width) < 1e-9);
});

test("a click hits the bar under it, and nothing beside the bars", () => {
  barsOf(several, 360).forEach((/** @type {any[]} */ row, /** @type {number} */ r) => row.forEach((bar, kind) => {
    if (bar.count) assert.deepEqual(barAt(several, 360, { x: bar.x + bar.width / 2, y: bar.y + 3 }), [r, kind]);
  }));
  assert.equal(barAt(several, 360, { x: 355, y: 400 }), null);
  assert.equal(wordsOfBar(several, 0, 1), "cat missed: 2 samples");
});

test("a point is hit within a few pixels, the nearest one", () => {
  const { x, y } = scatterOf(numbers, 360);
  assert.equal(pointAt(numbers, 360, { x: x(5) + 2, y: y(6) - 2 }), 7);
  assert.equal(pointAt(numbers, 360, { x: x(2), y: y(8) }), null);
});

test("what is right lies on the diagonal", () => {
  const { x, y, place } = scatterOf(numbers, 360);
  for (const value of [0, 3, 10]) assert.ok(Math.abs(x(value) - place.x - (place.y + place.height - y(value))) < 1e-9);
});

test("each output has a button", () => {
  const { buttons } = scatterOf(numbers, 360);
  assert.deepEqual(buttons.map((/** @type {any} */ { x, y }) => outputAt(numbers, 360, { x: x + 5, y: y + 5 })), [0, 1]);
  assert.equal(outputAt({ ...numbers, names: ["output"] }, 360, { x: 10, y: 40 }), null);
});

test("both are drawn with their words", () => {
  const one = penOf(), other = penOf();
  drawBars(one, 360, several, [3, 0], null);
  drawScatter(other, 360, numbers);
  for (const word of ["cat", "dog", "found", "missed"]) assert.ok(String(one).includes(`>${word}<`), word);
  assert.ok(String(other).includes("predicted (up) against true: a"));
});
