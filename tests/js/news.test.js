import assert from "node:assert/strict";
import test from "node:test";
import { newsOf } from "./js/alert.js";
import { textOf } from "./js/save.js";

/** @param {string} state @param {string} [text] @returns {any} */
const run = (state, text = "") => ({ state, said: { text, warning: false } });

test("an end, an error and silence are news, once", () => {
  assert.equal(newsOf(run("training"), run("done")), "done");
  assert.equal(newsOf(run("training"), run("error", "error: x")), "error");
  assert.equal(newsOf(run("training"), run("training", "hidden layer silent: no spikes")), "silent");
  assert.equal(newsOf(run("training", "hidden layer silent"), run("training", "hidden layer silent")), "");
  for (const [before, now] of [["idle", "training"], ["training", "paused"], ["done", "done"], ["training", "stopped"]])
    assert.equal(newsOf(run(before), run(now)), "");
});

test("curves are written as text, whatever they are called", () => {
  const view = (/** @type {number[]} */ values) => new DataView(Float32Array.from(values).buffer);
  const written = textOf({ loss: { x: view([1, 2]), y: view([0.5, NaN]) }, 'a "b", c': { x: view([3]), y: view([4]) } });
  assert.equal(written, 'curve,step,value\n"loss",1,0.5\n"loss",2,NaN\n"a ""b"", c",3,4\n');
});
