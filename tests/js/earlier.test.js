import assert from "node:assert/strict";
import test from "node:test";
import { keysOf, lookOfEarlier } from "./js/chart.js";
import { wordsAt } from "./js/curves.js";

const names = ["run 3: seed 2, 412 steps", "run 2: seed 1, v_th 1 → 0.8, 90 steps", "run 1: seed 0, 90 steps"];

test("no two of the earlier runs look alike", () => {
  assert.equal(new Set(names.map((_, k) => JSON.stringify(lookOfEarlier(k)))).size, 3);
});

test("the names of earlier runs do not overlap, and are not wider than the panel", () => {
  for (const width of [120, 260, 400, 1200]) {
    const { places, height } = keysOf(names, width);
    places.forEach((a, k) => {
      assert.ok(a.x >= 0 && a.x + a.width <= width && a.y + a.height <= height);
      for (const b of places.slice(k + 1)) assert.ok(b.y >= a.y + a.height || b.x >= a.x + a.width, `${width}: ${k}`);
    });
  }
  assert.equal(keysOf([], 300).height, 0);
});

test("under the cursor, earlier runs say their name and their value, or that they are over", () => {
  const run = (/** @type {number[]} */ ...y) => ({ x: Float32Array.from(y, (_, k) => 10 * (k + 1)), y: Float32Array.from(y) });
  const plot = /** @type {any} */ ({ title: "loss", earlier: [run(3, 2, 1), run(0.5)] });
  assert.equal(wordsAt(plot, names, 19.6), `step 20\n${names[0]}; loss here 2\n${names[1]}; over by here`);
});
