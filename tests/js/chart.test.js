import assert from "node:assert/strict";
import test from "node:test";
import { movingMean, nearest, roomsOf } from "./js/chart.js";
import { ticks } from "./js/draw.js";

const curve = (/** @type {number[]} */ y) => ({ x: Float32Array.from(y, (_, k) => k + 1), y: Float32Array.from(y) });

test("a moving mean of a straight line is the line, but for its ends", () => {
  const { y } = movingMean(curve(Array.from({ length: 300 }, (_, k) => 2 * k)));
  for (let k = 6; k < 294; k++) assert.equal(y[k], 2 * k);
  assert.equal(y[0], 6); // the mean of 0, 2, ..., 12
});

test("at the ends it is over what exists", () => assert.deepEqual([...movingMean(curve([0, 3, 0])).y], [1.5, 1, 1.5]));

test("it keeps the sum of a bump in the middle", () => {
  const y = new Array(500).fill(0);
  y[250] = 21;
  assert.deepEqual([...movingMean(curve(y)).y].filter((v) => v !== 0), new Array(21).fill(1));
});

test("the nearest point, of two equally near the first", () => {
  const x = Float32Array.of(1, 2, 5, 9);
  assert.deepEqual([-3, 1.4, 3.4, 3.6, 7, 99].map((at) => nearest(x, at)), [0, 0, 1, 2, 2, 3]);
  assert.equal(nearest(new Float32Array(), 3), 0);
});

test("ticks are round, inside, and about as many as wanted", () => {
  for (const [low, high, count] of [[0, 100, 5], [-65, -50, 3], [0.9468, 0.9512, 4], [0, 0, 3], [1e-9, 3e-9, 4]]) {
    const found = ticks(low, high, count), room = high - low || 1;
    assert.ok(found.every((tick) => tick >= low - 1e-6 * room && tick <= high + 1e-6 * room));
    assert.ok(found.length >= 1 && found.length <= 2 * count + 1, String(found));
  }
  assert.deepEqual(ticks(0, 100, 5), [0, 20, 40, 60, 80, 100]);
});

test("a width is shared out: what fits gets all it needs, and nothing is lost", () => {
  assert.deepEqual(roomsOf([10, 20, 30], 60), [10, 20, 30]);
  assert.deepEqual(roomsOf([100, 10, 50], 90), [40, 10, 40]);
  assert.deepEqual(roomsOf([30, 30], 20), [10, 10]);
  assert.deepEqual(roomsOf([5], -3), [0]);
});
