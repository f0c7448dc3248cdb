import assert from "node:assert/strict";
import test from "node:test";
import { acrossOf, nearestAt } from "./js/mapcurve.js";
import { nearestPoint, stairs } from "./js/mapfront.js";
import { boxOfPlace, every, hatch, keyOf, marksOf, placeAt } from "./js/mappaint.js";
import { COLUMNS, MapStore } from "./js/mapstore.js";
import { indexOf, placeWords, turned, valuesOfCell } from "./js/mapwords.js";
import { HIGH, LOW, over, shade, shareOf } from "./js/shades.js";

/** @param {number[]} numbers */
const view = (numbers) => new DataView(Float32Array.from(numbers).buffer);

/** The numbers of a place. @param {number} score @param {number} base */
const placed = (score, base) => [score, score - 0.1, score + 0.1, 40, 30, 50, 0.5, base, base + 1, 2, 0, 0];

/** A store of two places with two seeds each, and how often it asked for everything. */
function storeOf() {
  let asked = 0;
  const store = new MapStore(() => asked++);
  store.takeCells({ version: 3, cells: view([0, 2, 0, 0, 1, 1, 0, 0]), rows: view([0, 1, 2.3, 0.25, 40]), why: {} });
  store.takePlaces({ version: 3, shape: [1, 2], values: view([...placed(0.25, 0), ...placed(NaN, 2)]) });
  return { store, asked: () => asked };
}

/** @param {number} news @param {number[]} places @param {number[]} cells @param {number[]} rows @returns {[any, DataView[]]} */
const told = (news, places, cells, rows) => [{ news, why: { 2: "no memory" } }, [view(places), view(cells), view(rows)]];

test("a change is put into what is known", () => {
  const { store, asked } = storeOf();
  assert.equal(store.takeNews(...told(4, [1, ...placed(0.75, 2)], [2, 5, 1, 0], [0, 2, 2.1, 0.5, 41, 2, 1, 1.5, 0.75, 9])), true);
  assert.deepEqual(store.shown.places.map(({ score }) => score.middle), [0.25, 0.75]);
  assert.deepEqual(store.cells.get(0)?.rows.map(({ epoch, score }) => [epoch, score]), [[1, 0.25], [2, 0.5]]);
  assert.deepEqual([store.cells.get(2)?.fate, store.cells.get(2)?.why, store.cells.get(2)?.rows.length], [5, "no memory", 1]);
  assert.equal(asked(), 0);
});

test("a change that was missed is noticed, and one that is known is left", () => {
  const { store, asked } = storeOf();
  assert.equal(store.takeNews(...told(3, [0, ...placed(0.9, 0)], [], [])), false);
  assert.equal(asked(), 0);
  assert.equal(store.takeNews(...told(6, [0, ...placed(0.9, 0)], [], [])), false);
  assert.equal(asked(), 1);
  assert.equal(store.shown.places[0].score.middle, 0.25);
});

test("epochs of a cell that went back take the place of the old ones", () => {
  const { store } = storeOf();
  store.takeNews(...told(4, [], [0, 2, 0, 0], [0, 2, 1, 0.5, 4, 0, 3, 1, 0.75, 4]));
  store.takeNews(...told(5, [], [0, 2, 0, 0], [0, 1, 1, 0.125, 4, 0, 2, 1, 0.375, 4]));
  assert.deepEqual(store.cells.get(0)?.rows.map(({ score }) => score), [0.125, 0.375]);
});

test("a place has as many numbers as the kernel sends", () => assert.equal(placed(0, 0).length, COLUMNS));

test("every point of a panel belongs to the place that is drawn there", () => {
  const panel = { x: 37.5, y: 20.25, width: 311, height: 173.5 }, shown = { rows: 5, columns: 7, places: [] };
  for (let place = 0; place < 35; place++) {
    const { x, y, width, height } = boxOfPlace(panel, shown, place);
    assert.equal(placeAt(panel, shown, { x: x + width / 2, y: y + height / 2 }), place);
  }
  const first = boxOfPlace(panel, shown, 0), last = boxOfPlace(panel, shown, 34);
  assert.ok(first.x < last.x && first.y > last.y); // the first row is the lowest
  for (const outside of [{ x: 30, y: 50 }, { x: 400, y: 50 }, { x: 100, y: 10 }, { x: 100, y: 200 }]) assert.equal(placeAt(panel, shown, outside), null);
});

test("hatches stay inside their box and differ in direction", () => {
  const box = { x: 3, y: 5, width: 17, height: 11 };
  const slopes = /** @type {const} */ (["lying", "standing", "leaning"]).map((kind) => {
    const lines = hatch(box, kind);
    assert.ok(lines.length > 2);
    for (const [x, y] of lines.flat()) assert.ok(x >= 3 && x <= 20 && y >= 5 && y <= 16, `${kind} ${x} ${y}`);
    return new Set(lines.map(([[x0, y0], [x1, y1]]) => Math.round(Math.atan2(Math.abs(y1 - y0), Math.abs(x1 - x0)) * 180 / Math.PI)));
  });
  assert.deepEqual(slopes.map((one) => [...one]), [[0], [90], [45]]);
  assert.deepEqual(hatch(box, ""), []);
});

test("marks of a logarithmic scale are round, inside, and not too many", () => {
  for (const [low, high] of [[0.1, 1000], [5, 20], [50, 100], [1, 100000]]) {
    const marks = marksOf({ key: "spikes", title: "", shades: LOW, log: true, ends: [low, high], words: String }, 6);
    assert.ok(marks.length >= 2 && marks.length <= 12, String(marks));
    for (const mark of marks) assert.ok(mark >= low && mark <= high && [1, 2, 3, 5].includes(+(mark / 10 ** Math.floor(Math.log10(mark) + 1e-9)).toFixed(6)));
  }
});

test("colours go from one end to the other, and what is over them can be read", () => {
  assert.deepEqual([shade(HIGH, 0), shade(HIGH, 1), shade(LOW, 0)], [HIGH[0], HIGH[HIGH.length - 1], LOW[0]]);
  const light = (/** @type {string} */ colour) => [1, 3, 5].reduce((sum, n, k) => {
    const level = parseInt(colour.slice(n, n + 2), 16) / 255;
    return sum + [0.2126, 0.7152, 0.0722][k] * (level <= 0.04045 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4);
  }, 0);
  for (const shades of [HIGH, LOW])
    for (let share = 0; share <= 1; share += 0.01) {
      const [a, b] = [light(shade(shades, share)), light(over(shade(shades, share)))].sort((one, other) => other - one);
      assert.ok((a + 0.05) / (b + 0.05) >= 4.5, `${share}`); // WCAG 2, contrast of text
    }
  assert.deepEqual([shareOf(10, [1, 100], true), shareOf(0, [1, 100], true), shareOf(1e9, [1, 100], true), shareOf(0.5, [0, 2], false)], [0.5, 0, 1, 0.25]);
});

test("arrow keys go to the neighbours and stop at the edges", () => {
  const from = (/** @type {number} */ place, /** @type {string} */ key) => turned(key, place, 3, 4);
  assert.deepEqual(["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Home", "End", "a"].map((key) => from(5, key)), [9, 1, 4, 6, 4, 7, null]);
  assert.deepEqual(["ArrowDown", "ArrowLeft"].map((key) => from(0, key)), [0, 0]);
  assert.deepEqual(["ArrowUp", "ArrowRight"].map((key) => from(11, key)), [11, 11]);
});

test("a cell is found by its number", () => {
  for (let a = 0, number = 0; a < 2; a++) for (let b = 0; b < 3; b++) for (let c = 0; c < 5; c++, number++) assert.deepEqual(indexOf([2, 3, 5], number), [a, b, c]);
});

const ABOUT = /** @type {any} */ ({
  axes: [{ name: "tau_mem", values: ["1", "10"], unit: "ms", shown: true }, { name: "seed", values: ["0", "1"], unit: "", shown: false }],
  shape: [2, 2], seeds: [0, 1], seed_words: ["0", "1"], epochs: 4, findings: ["", "silent", "saturated", "diverged"], score: { name: "test accuracy", share: true },
});

test("a place is said in words, with its spread and what is wrong", () => {
  const place = { score: { middle: 0.5, low: 0.4, high: 0.6 }, spikes: { middle: 12, low: 1, high: 20 }, progress: 1, base: 2, typical: 3, fate: 4, finding: 1, computing: false };
  assert.equal(placeWords(ABOUT, place), "tau_mem 10 ms: test accuracy 50% (40% to 60%), 12 spikes a sample, stopped, silent");
  assert.deepEqual(valuesOfCell(ABOUT, 2), [{ name: "tau_mem", words: "10 ms", shown: true }]);
  const nothing = { ...place, score: { middle: NaN, low: NaN, high: NaN }, fate: 1, finding: 0 };
  assert.equal(placeWords(ABOUT, nothing), "tau_mem 10 ms: nothing yet, waiting");
});

test("the key has no sign that the map has not", () => {
  const place = { score: { middle: 0.5, low: 0.5, high: 0.5 }, spikes: { middle: 1, low: 1, high: 1 }, progress: 1, base: 0, typical: 0, fate: 3, finding: 0, computing: false };
  const words = (/** @type {object[]} */ places, /** @type {object} */ more) => {
    const drawn = { contour: [], front: [], view: {}, ...more };
    return keyOf(/** @type {any} */ ({ about: ABOUT, shown: { places }, drawn, phase: 0 })).map(([one]) => one);
  };
  assert.deepEqual(words([place], {}), ["lowest and highest seed"]);
  const all = [{ ...place, finding: 2 }, { ...place, fate: 1 }, { ...place, fate: 5, computing: true }];
  const signs = ["saturated", "waiting", "computing", "failed", "lowest and highest seed", "equal score", "Pareto front"];
  assert.deepEqual(words(all, { contour: [[]], front: [0], view: { front: true } }), signs);
});

test("the stairs go right, then up; a pointer finds the nearest point within reach", () => {
  assert.deepEqual(stairs([[0, 9], [4, 5], [6, 1]], 10), [[0, 9], [4, 9], [4, 5], [6, 5], [6, 1], [10, 1]]);
  assert.deepEqual(stairs([], 10), []);
  assert.deepEqual([nearestPoint([[0, 0], null, [10, 0]], { x: 7, y: 1 }), nearestPoint([[0, 0]], { x: 50, y: 0 })], [2, null]);
});

test("a point of a curve is that of the nearest value, also where values are not even", () => {
  const plot = { x: 40, y: 20, width: 220, height: 100 }, shares = [0, 0.1, 1];
  assert.deepEqual(acrossOf(plot, shares), [50, 70, 250]);
  assert.deepEqual([55, 62, 158, 162, 259].map((x) => nearestAt(plot, shares, { x, y: 60 })), [0, 1, 1, 2, 2]);
  assert.equal(nearestAt(plot, shares, { x: 10, y: 60 }), null);
});

test("as many values have a number as there is room for", () => {
  for (const [count, apart, need] of [[16, 20, 40], [3, 100, 40], [100, 1, 30]]) assert.ok(every(count, apart, need) * apart >= need || every(count, apart, need) === 1);
});
