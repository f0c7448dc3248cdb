import assert from "node:assert/strict";
import test from "node:test";
import { leaderWords, momentOf, pointsUntil, raceOf, timeWords } from "./js/moment.js";
import { firstKnobs } from "./js/stage.js";

const floats = (/** @type {number[]} */ values) => new DataView(Float32Array.from(values).buffer);
const ints = (/** @type {number[]} */ values) => new DataView(Int32Array.from(values).buffer);

// Seven steps, three in a column: columns end after 3, 6 and 7 steps. Classes 0 and 2 of three are shown.
/** @type {any} */ const scene = { task: "label", steps: 7, cell: 3, dt: 2, classes: ["a", "b", "c"] };
/** @type {any} */ const frame = {
  shown: [0, 2], prediction: 2, readout: floats([9, 9, 9, 9, 9, 9, 9, 9]),
  moments: {
    scores: floats([1, -1, 2, 3, 2, 4]), readout: floats([1, -1, 0, 3, 0, 0]), leads: ints([1, 2, 2]),
    spikes: { hidden: ints([5, 5, 8]) }, words: "highest so far",
  },
};

test("before the first column nothing has happened", () => {
  const { words, leads, spikes, scores, share, atEnd } = momentOf(scene, frame, 0);
  assert.deepEqual([words, leads, spikes, [...scores], share, atEnd], ["0 ms", -1, { hidden: 0 }, [0, 0], 0, false]);
  assert.equal(leaderWords(scene, momentOf(scene, frame, 0)), "no class leads");
});

test("a column counts once all its steps are over, and the last one may be shorter", () => {
  const found = [1, 2, 3].map((column) => momentOf(scene, frame, column));
  assert.deepEqual(found.map(({ words }) => words), ["6 ms", "12 ms", "14 ms"]);
  assert.deepEqual(found.map(({ leads }) => leads), [1, 2, 2]);
  assert.deepEqual(found.map(({ spikes }) => spikes.hidden), [5, 5, 8]);
  assert.deepEqual(found.map(({ scores }) => [...scores]), [[1, -1], [2, 3], [2, 4]]);
  assert.deepEqual(found.map(({ readout }) => [...readout]), [[1, -1], [0, 3], [0, 0]]);
  assert.deepEqual(found.map(({ share }) => share), [6 / 14, 12 / 14, 1]);
  assert.deepEqual(found.map(({ atEnd }) => atEnd), [false, false, true]);
  assert.equal(leaderWords(scene, found[0]), "b leads"); // though it is not among those shown
});

test("a cursor beyond the end, as after a restart with fewer steps, is at the end", () => {
  assert.equal(momentOf(scene, frame, 99).words, "14 ms");
});

test("the readout at a moment is the trace itself where that has every step", () => {
  const every = { ...scene, steps: 4, cell: 1 }, moments = { ...frame.moments, readout: null, scores: floats(Array(8).fill(0)), leads: ints([0, 0, 0, 0]) };
  const whole = { ...frame, moments, readout: floats([0, 1, 2, 3, 4, 5, 6, 7]) };
  assert.deepEqual([...momentOf(every, whole, 3).readout], [4, 5]);
});

test("without a time step, time is counted in steps", () => {
  assert.equal(timeWords({ ...scene, dt: 0 }, 2), "6 steps");
});

test("a trace shows nothing of what comes", () => {
  const every = { ...scene, steps: 100, cell: 1 }, thinned = { ...scene, steps: 1000, cell: 3 };
  assert.deepEqual([0, 37, 100].map((column) => pointsUntil(every, column, 100)), [0, 37, 100]);
  // two points are the extremes of two columns: of an odd number of columns, the last one waits
  assert.deepEqual([0, 1, 2, 37].map((column) => pointsUntil(thinned, column, 334)), [0, 0, 2, 36]);
  assert.equal(pointsUntil(thinned, 334, 334), 334);
});

test("bars have one scale for the whole sample, and who leads has the longest", () => {
  const race = raceOf(scene, frame, momentOf(scene, frame, 2)); // scores go from -1 to 4
  assert.equal(race.zero, 1 / 5);
  assert.deepEqual(race.bars.map(({ k, name, share, leads }) => [k, name, share, leads]), [[0, "a", 3 / 5, false], [2, "c", 4 / 5, true]]);
});

test("without a cursor the bars are those of the whole sample, and the answer leads", () => {
  const race = raceOf(scene, { ...frame, prediction: 0 }, null);
  assert.deepEqual(race.bars.map(({ score, leads }) => [score, leads]), [[2, true], [4, false]]);
});

test("scores that are not finite have no bar", () => {
  const broken = { ...frame, moments: { ...frame.moments, scores: floats([1, -1, 2, 3, NaN, Infinity]) } };
  assert.deepEqual(raceOf(scene, broken, momentOf(scene, broken, 3)).bars.map(({ share }) => share), [1 / 4, 1 / 4]);
});

test("the stage begins with threshold and time constant of the first hidden layer, as far as there are any", () => {
  const knobs = (/** @type {string[]} */ ...names) => names.map((name) => ({ name }));
  const all = knobs("first.slope", "first.tau_mem", "first.v_th", "second.v_th", "l1");
  assert.deepEqual(firstKnobs(all, ["first", "second"]), ["first.v_th", "first.tau_mem"]);
  assert.deepEqual(firstKnobs(knobs("a.slope", "a.v_th"), ["a"]), ["a.v_th", "a.slope"]);
  assert.deepEqual(firstKnobs(knobs("learning_rate", "l1", "l2"), ["hidden"]), ["learning_rate", "l1"]);
  assert.deepEqual(firstKnobs(knobs("learning_rate"), []), ["learning_rate"]);
  assert.deepEqual(firstKnobs([], []), []);
});
