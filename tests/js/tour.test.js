import assert from "node:assert/strict";
import test, { after, mock } from "node:test";
import { JSDOM } from "jsdom";
import { beside, shared } from "./js/beside.js";
import { keysIn, nameOf } from "./js/explain.js";
import { along, makeTour, stopOf } from "./js/tour.js";

const { window } = new JSDOM("<!doctype html>", { pretendToBeVisual: true });
window.HTMLElement.prototype.scrollIntoView = () => {};
const observer = class { observe() {} disconnect() {} };
Object.assign(globalThis, {
  window: globalThis, document: window.document, Node: window.Node, HTMLElement: window.HTMLElement, HTMLCanvasElement: window.HTMLCanvasElement,
  ResizeObserver: observer, matchMedia: () => ({ matches: true }), // a user who wants no animation: a knob arrives at once
});
after(() => window.close());

const room = { x: 0, y: 0, width: 100, height: 100 }, size = { width: 20, height: 10 };

test("a box goes beside its target, inside the room, over as little as possible", () => {
  const target = { x: 40, y: 40, width: 20, height: 20 };
  for (const side of /** @type {const} */ (["below", "above", "right", "left"])) {
    const at = beside(target, size, room, [side]);
    assert.equal(shared({ ...at, ...size }, target), 0);
  }
  assert.ok(beside(target, size, room, ["below", "above"]).y > 60);
  assert.ok(beside({ ...target, y: 78 }, size, room, ["below", "above"]).y < 78); // below there is no room
  assert.ok(beside(target, size, room, ["below", "above"], [{ x: 0, y: 60, width: 100, height: 40 }]).y < 40);
  assert.equal(beside(target, size, room, ["right"], [{ x: 60, y: 30, width: 40, height: 20 }]).y, 50); // flush with its lower end
  for (const x of [-30, 0, 95]) for (const y of [-30, 0, 95]) {
    const at = beside({ x, y, width: 20, height: 20 }, size, room, ["below", "above", "right", "left"]);
    assert.ok(at.x >= 0 && at.y >= 0 && at.x + size.width <= 100 && at.y + size.height <= 100);
  }
});

test("a knob on its way begins and ends exactly, never turns back, and stays between", () => {
  for (const [from, to, log] of /** @type {[number, number, boolean][]} */ ([[1, 3.7, false], [10, 2, true], [0, 1, true], [-50, -5, false]])) {
    const way = Array.from({ length: 31 }, (_, k) => along(from, to, log, k / 30));
    assert.equal(way[0], from);
    assert.equal(way[30], to);
    assert.ok(way.every((value, k) => k === 0 || Math.sign(value - way[k - 1]) === Math.sign(to - from)));
  }
  assert.ok(Math.abs(along(10, 0.1, true, 0.5) - 1) < 1e-9); // of a logarithmic knob, the geometric mean
});

test("the state of a page tells a stop, or none", () => {
  assert.deepEqual(["0", "5", "6", "", undefined, "x", "-1", "1.5"].map((kept) => stopOf(kept, 6)), [0, 5, -1, -1, -1, -1, -1, -1]);
});

test("a panel lists what it explains: once, without what is hidden", () => {
  const panel = window.document.createElement("div");
  const add = (/** @type {string} */ key, /** @type {object} */ more = {}) => panel.append(Object.assign(window.document.createElement("span"), more));
  for (const [key, more] of /** @type {[string, object][]} */ ([["a.one", {}], ["a.two words", {}], ["a.one", {}], ["b.other", { hidden: true }]])) {
    add(key, more);
    /** @type {HTMLElement} */ (panel.lastElementChild).dataset.explain = key;
  }
  assert.deepEqual(keysIn(panel), ["a.one", "a.two words"]);
  assert.deepEqual(["a.one", "a.two words", "knob.v_th"].map(nameOf), ["one", "two words", "v_th"]);
});

const STOPS = [
  { title: "first", words: "Look.", at: ["curves"], tab: "", press: true, move: null },
  { title: "second", words: "Look.", at: ["a.b", "curves"], tab: "Health", press: false, move: { knob: "a.b", value: 4 } },
  { title: "third", words: "Look.", at: ["gone"], tab: "", press: false, move: null },
];

/** A tour of three stops, and all that it does. @param {object} [ui] */
function make(ui = {}) {
  /** @type {any} */ const state = { about: { tour: STOPS, knobs: [{ name: "a.b", log: false }] }, run: { state: "idle" }, frame: {}, ui };
  /** @type {any[]} */ const done = [];
  const model = {
    get: (/** @type {string} */ name) => state[name], set: (/** @type {string} */ name, /** @type {any} */ value) => void (state[name] = value),
    save_changes() {}, on() {}, off() {}, send: (/** @type {any} */ message) => void done.push(message.do),
  };
  const trial = { now: () => 1, tryOut: (/** @type {string} */ _, /** @type {number} */ value) => void done.push(value), stopTrying: () => void done.push("back") };
  const root = window.document.createElement("div"), part = root.appendChild(window.document.createElement("div"));
  part.className = "panel main";
  window.document.body.replaceChildren(root);
  const tour = makeTour(model, root, trial, { grab: () => done.push("grab"), forget: () => done.push("forget") });
  const card = /** @type {HTMLElement} */ (root.querySelector(".tour"));
  const press = (/** @type {string} */ key) => card.dispatchEvent(new window.KeyboardEvent("keydown", { key, bubbles: true }));
  return { tour, card, part, done, state, press, shown: () => (card.hidden ? "" : card.querySelector("h4")?.textContent) };
}

test("keys lead through the tour; what a stop moves ends with it", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { tour, done, state, press, shown, part } = make();
  assert.deepEqual([shown(), tour.open()], ["", false]);
  tour.toggle();
  assert.deepEqual([shown(), done, state.ui.tour, part.className], ["first", ["transport"], "0", "panel main toured"]);
  press("ArrowRight");
  assert.deepEqual([shown(), state.ui], ["second", { tour: "1", tab: "Health" }]);
  mock.timers.tick(2000);
  assert.deepEqual(done.splice(0), ["transport", "grab", 4]);
  press("ArrowRight");
  assert.deepEqual([shown(), done.splice(0), part.className], ["third", ["back", "forget"], "panel main"]);
  press("ArrowLeft");
  press("Escape"); // before it has moved
  mock.timers.tick(2000);
  assert.deepEqual([shown(), tour.open(), state.ui.tour, done], ["", false, "", ["back"]]);
  tour.toggle();
  press("ArrowLeft"); // there is nothing before the first
  for (let k = 0; k < 3; k++) press("ArrowRight");
  assert.deepEqual([shown(), tour.open()], ["", false]);
  mock.timers.reset();
});

test("a page that is loaded again is where it was, and moves nothing again", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { tour, done, press, shown } = make({ tour: "1" });
  tour.show();
  mock.timers.tick(2000);
  assert.deepEqual([shown(), done], ["second", []]);
  press("Escape");
  assert.deepEqual([shown(), done], ["", ["back"]]);
  mock.timers.reset();
});
