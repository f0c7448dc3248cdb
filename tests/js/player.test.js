import assert from "node:assert/strict";
import test from "node:test";
import { Player } from "./js/player.js";

/** A page whose pictures come when the test says so. @param {boolean} still whether it wants less motion */
function page(still = false) {
  /** @type {((now: number) => void)[]} */ let waiting = [];
  let now = 0;
  Object.assign(globalThis, {
    matchMedia: () => ({ matches: still }), cancelAnimationFrame: () => { waiting = []; },
    requestAnimationFrame: (/** @type {(now: number) => void} */ act) => waiting.push(act),
  });
  return {
    /** @param {number} seconds @param {number} [every] milliseconds between two pictures */
    pass(seconds, every = 10) {
      for (const end = now + 1000 * seconds; now < end - 1e-6;) {
        now += every;
        const due = waiting;
        waiting = [];
        for (const act of due) act(now);
      }
    },
    get idle() { return !waiting.length; },
  };
}

test("a sample takes its seconds, from the first moment to the last", () => {
  const time = page(), player = new Player(() => 100), seen = /** @type {(number | null)[]} */ ([]);
  player.watch(() => seen.push(player.column));
  assert.equal(player.column, null);
  player.play();
  time.pass(0.01);
  assert.equal(player.column, 0);
  time.pass(3);
  assert.ok(player.playing && Math.abs(/** @type {number} */ (player.column) - 50) <= 1);
  time.pass(3.1);
  assert.deepEqual([player.column, player.playing], [100, false]);
  time.pass(1);
  assert.ok(time.idle);
  const columns = seen.filter((column, k) => column !== seen[k - 1]); // each column is shown, in its order
  assert.deepEqual(columns, Array.from({ length: 101 }, (_, k) => k));
});

test("it is held and continues from there, and begins again after the end", () => {
  const time = page(), player = new Player(() => 60);
  player.play();
  time.pass(2);
  player.toggle();
  const { column } = player;
  time.pass(5);
  assert.equal(player.column, column);
  player.toggle();
  time.pass(5);
  assert.equal(player.column, 60);
  player.play();
  assert.equal(player.column, 0);
  player.end();
  time.pass(1);
  assert.deepEqual([player.column, player.playing, time.idle], [null, false, true]);
});

test("after a wait, as in a hidden tab, it continues from where it was", () => {
  const time = page(), player = new Player(() => 60);
  player.play();
  time.pass(1);
  const before = /** @type {number} */ (player.column);
  time.pass(60, 60_000);
  assert.ok(player.playing && /** @type {number} */ (player.column) - before <= 2);
});

test("it is put to a moment, within the sample, and stays there", () => {
  const time = page(), player = new Player(() => 10);
  player.play();
  for (const [wanted, column] of [[3.4, 3], [-5, 0], [99, 10]]) {
    player.seek(wanted);
    time.pass(1);
    assert.deepEqual([player.column, player.playing], [column, false]);
  }
});

test("who wants less motion gets the cursor, and moves it", () => {
  const time = page(true), player = new Player(() => 10);
  player.play();
  time.pass(3);
  assert.deepEqual([player.column, player.playing], [0, false]);
  player.seek(4);
  player.play();
  assert.equal(player.column, 4);
});

test("keys: a full stop plays, Escape ends it but is left to others without it, Shift and arrows step", () => {
  page();
  const player = new Player(() => 10);
  const press = (/** @type {string} */ key, shiftKey = false) => player.press(/** @type {any} */ ({ key, shiftKey, preventDefault() {}, stopPropagation() {} }));
  assert.equal(press("Escape"), false);
  assert.equal(press("ArrowRight"), false);
  assert.ok(press("ArrowRight", true) && press("ArrowRight", true) && press("ArrowLeft", true));
  assert.equal(player.column, 1);
  assert.ok(press(".") && player.playing);
  assert.ok(press("Escape"));
  assert.equal(player.column, null);
});
