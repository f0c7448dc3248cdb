import assert from "node:assert/strict";
import test from "node:test";
import { drawSignal, drawStrips, drawTargets, drawTrains, drawUnscored, lettersOf, lookOfTarget, markOf, runsOf, targetsIn } from "./js/answers.js";
import { SvgPen } from "./js/svgpen.js";

const floats = (/** @type {number[]} */ values) => new DataView(Float32Array.from(values).buffer);
const ints = (/** @type {number[]} */ values) => new DataView(Int32Array.from(values).buffer);
const bits = (/** @type {number[]} */ values) => {
  const bytes = new Uint8Array(Math.ceil(values.length / 8));
  values.forEach((on, k) => { if (on) bytes[k >> 3] |= 128 >> (k & 7); });
  return new DataView(bytes.buffer);
};
const penOf = () => /** @type {any} */ (new SvgPen(400, 200, { ink: "#111", paper: "#fff", font: "sans" }, (words) => 6 * words.length));
const place = { x: 50, y: 20, width: 300, height: 100 };
/** Numbers of an attribute, of all elements of a kind. @param {any} pen @param {string} tag @param {string} name */
const all = (pen, tag, name) => [...String(pen).matchAll(new RegExp(`<${tag}[^>]* ${name}="([^"]*)"`, "g"))].map((found) => found[1]);
/** @type {any} */ const scene = { task: "step_labels", steps: 10, cell: 1, dt: 8, short: ["none", "P", "QRS"], classes: ["none", "P", "QRS"] };

test("classes have a letter each if they differ, else a number", () => {
  assert.deepEqual(lettersOf(["none", "P", "QRS", "T"]), ["n", "P", "Q", "T"]);
  assert.deepEqual(lettersOf(["cat", "cow"]), ["0", "1"]);
});

test("runs cover everything once, and neighbours differ", () => {
  const classes = [0, 0, 2, 2, 2, -1, 0], runs = runsOf(classes);
  assert.deepEqual(runs.flatMap(({ k, from, to }) => Array(to - from).fill(k)), classes);
  for (let r = 1; r < runs.length; r++) assert.notEqual(runs[r].k, runs[r - 1].k);
  assert.deepEqual(runsOf([]), []);
});

test("the strips name the classes, hatch what is not scored, and mark what is wrong", () => {
  const pen = penOf(), target = { truth: ints([0, 0, 0, 0, 2, 2, 2, 2, -1, -1]), said: ints([0, 0, 0, 0, 2, 2, 1, 1, 0, 0]) };
  drawStrips(pen, scene, /** @type {any} */ (target), place, null);
  const words = [...String(pen).matchAll(/>([^<]+)<\/text>/g)].map((found) => found[1]);
  assert.deepEqual(words.filter((word) => ["none", "QRS", "P", "true", "says"].includes(word)), ["none", "QRS", "true", "none", "QRS", "P", "none", "says"]);
  const red = String(pen).split("\n").filter((line) => line.includes("<rect") && line.includes("#D55E00"));
  assert.equal(red.length, 1);
  assert.match(red[0], /x="230"[^>]* width="60"/); // the seventh and the eighth of ten columns
  assert.ok(String(pen).includes("clipPath"), "hatched");
});

test("a prediction is shown up to the moment only", () => {
  const pen = penOf(), classes = ints(Array(10).fill(1));
  drawStrips(pen, scene, /** @type {any} */ ({ truth: classes, said: classes }), place, /** @type {any} */ ({ column: 4 }));
  const wide = all(pen, "rect", "width").map(Number);
  assert.ok(wide.includes(300) && wide.includes(120));
});

test("the axis reaches the targets", () => {
  assert.deepEqual(targetsIn(/** @type {any} */ ({ target: { kind: "values", targets: [70], said: [null] } })), [70]);
  assert.deepEqual(targetsIn(/** @type {any} */ ({ target: { kind: "traces", values: floats([1, NaN, 3]) } })), [1, 3]);
  assert.deepEqual(targetsIn(/** @type {any} */ ({ target: null })), []);
});

test("targets are dashed, and the number that is read out is a line of its own", () => {
  const pen = penOf(), frame = { target: { kind: "values", targets: [2], said: [3] }, shown: [0] };
  drawTargets(pen, /** @type {any} */ (frame), place, [], (value) => 100 - 10 * value);
  assert.deepEqual(all(pen, "path", "d").filter((d) => d.startsWith("M50 ")), ["M50 19h300v102h-300z", "M50 80L350 80", "M50 70L350 70"]);
  assert.deepEqual(lookOfTarget(0, 1).colour, undefined);
  assert.notEqual(lookOfTarget(1, 2).colour, undefined);
});

test("wanted spikes stand over those that are fired, output by output", () => {
  const pen = penOf(), columns = { ...scene, steps: 4, task: "spike_trains" };
  const wanted = bits([1, 0, 0, 0, 0, 1, 0, 0]), fired = bits([0, 0, 0, 0, 0, 0, 1, 1]); // four columns of two outputs
  drawTrains(pen, columns, /** @type {any} */ ({ outputs: 2, wanted, fired }), place, [0, 1], null);
  const marks = String(pen).split("\n").filter((line) => line.includes("<rect"));
  const of = (/** @type {string} */ colour) => marks.filter((line) => line.includes(colour)).map((line) => Number(/ x="([\d.]+)"/.exec(line)?.[1]));
  assert.equal(of("#E69F00").length, 2);
  assert.equal(of("#0072B2").length, 2);
  const [first] = of("#0072B2");
  assert.ok(Math.abs(first - (50 + 3.5 * 75)) < 3, "in the fourth column");
});

test("what comes after the end is shaded in every row, what is not scored is pale in the readout", () => {
  const pen = penOf(), rows = [{ ...place, height: 20 }, { ...place, y: 60, height: 40 }];
  drawUnscored(pen, { ...scene, length: 8, scored: bits([1, 1, 0, 0, 1, 1, 1, 1, 0, 0]) }, rows);
  const wide = all(pen, "rect", "width").map(Number);
  assert.deepEqual(wide.filter((width) => width === 60).length, 4); // two columns: pale twice, shaded in two rows
  assert.ok(String(pen).includes("end of the sample"));
  const whole = penOf();
  drawUnscored(whole, { ...scene, length: null, scored: null }, rows);
  assert.equal(whole.parts.length, 0);
});

test("found, missed, claimed wrongly, and neither", () => {
  const target = /** @type {any} */ ({ kind: "several_labels", true: [0, 1], said: [0, 2] });
  assert.deepEqual([0, 1, 2, 3].map((k) => markOf(target, k).trim()), ["✓", "○", "✗", ""]);
  assert.equal(markOf(null, 0), "");
});

test("a signal fills its place, and a flat one is drawn, too", () => {
  for (const values of [[0, 1, 2, 3], [5, 5, 5, 5]]) {
    const pen = penOf();
    drawSignal(pen, place, floats(values), 1);
    const ys = [...all(pen, "path", "d").filter((d) => d.includes("L")).join("").matchAll(/[ML][\d.]+ ([\d.]+)/g)].map((found) => Number(found[1]));
    assert.ok(ys.length === 4 && ys.every((y) => y >= 20 && y <= 120));
  }
});
