import assert from "node:assert/strict";
import test from "node:test";
import { wordsOfCell } from "./js/errors.js";

test("a cell says what was taken for what, and how often", () => {
  const counts = new DataView(Int32Array.of(36, 1, 0, 1200).buffer);
  const confusion = { names: ["cat", "dog"], shown: [4, 7], counts };
  assert.equal(wordsOfCell(confusion, 0, 1), "cat taken for dog: 1 sample");
  assert.equal(wordsOfCell(confusion, 1, 1), "dog, rightly predicted: 1,200 samples");
});
