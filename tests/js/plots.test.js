import assert from "node:assert/strict";
import test from "node:test";
import { lines, rowsOf } from "./js/plots.js";

/** A pen whose letters are one wide each, and what it wrote. */
function penOf() {
  /** @type {string[]} */ const written = [];
  const measureText = (/** @type {string} */ words) => ({ width: words.length }), fillText = (/** @type {string} */ words) => written.push(words);
  const pen = { theme: { font: "any", ink: "#000", paper: "#fff" }, measureText, fillText };
  return { pen: /** @type {any} */ (pen), written };
}

test("rows hold all words, in order, and none is too wide unless it is one word", () => {
  const { pen } = penOf(), words = "3 dead, 96 healthy, 1 saturated of 100 incomprehensibilities";
  for (const width of [5, 10, 20, 100]) {
    const rows = rowsOf(pen, words, width);
    assert.equal(rows.join(" "), words);
    assert.ok(rows.every((row) => row.length <= width || !row.includes(" ")), String(rows));
    for (let k = 1; k < rows.length; k++) assert.ok(`${rows[k - 1]} ${rows[k].split(" ")[0]}`.length > width, "no row ends early");
  }
});

test("rows end where they may", () => {
  const { pen } = penOf();
  assert.deepEqual(rowsOf(pen, "3 dead, 96 healthy, 1 saturated", 20, /(?<=, )/), ["3 dead, 96 healthy,", "1 saturated"]);
});

test("what is left out is said", () => {
  const { pen, written } = penOf();
  assert.equal(lines(pen, "one two three four five", { x: 0, y: 0, width: 9, height: 0 }, 2), 26);
  assert.deepEqual(written, ["one two", "three fo…"]);
});
