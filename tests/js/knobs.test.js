import assert from "node:assert/strict";
import test, { after } from "node:test";
import { JSDOM } from "jsdom";
import { makeKnobs } from "./js/knobs.js";

const { window } = new JSDOM("<!doctype html>", { pretendToBeVisual: true });
Object.assign(globalThis, { document: window.document, Node: window.Node, requestAnimationFrame: window.requestAnimationFrame.bind(window) });

after(() => window.close());

const KNOB = { name: "a.b", group: "a", label: "b", unit: "ms", log: true, value: 10, low: 1, high: 100, least: 0, explain: "knob.b" };
const picture = () => new Promise((done) => requestAnimationFrame(() => done(undefined)));

/** A model that stands for the kernel, and the knobs on it. @param {object} [more] */
function make(more = {}) {
  /** @type {any[]} */ const sent = [];
  /** @type {Record<string, any>} */ const state = { about: { knobs: [{ ...KNOB, ...more }] }, run: { knobs: { "a.b": 10 }, heard: {} }, ui: {} };
  /** @type {Record<string, () => void>} */ const listeners = {};
  const model = {
    get: (/** @type {string} */ name) => state[name],
    set: (/** @type {string} */ name, /** @type {any} */ value) => { state[name] = value; listeners[`change:${name}`]?.(); },
    save_changes() {}, send: (/** @type {object} */ message) => void sent.push(message),
    on: (/** @type {string} */ event, /** @type {() => void} */ act) => void (listeners[event] = act), off() {},
  };
  const part = makeKnobs(model, { grab() {}, release() {} });
  document.body.replaceChildren(part.el);
  const [slider, box] = /** @type {any} */ (part.el.querySelectorAll("input")), back = /** @type {any} */ (part.el.querySelector("button.back"));
  const says = (/** @type {number} */ value, heard = 0) => {
    const [page] = sent.length ? sent[0].stamp : [""];
    state.run = { knobs: { "a.b": value }, heard: { [page]: heard } };
    listeners["change:run"]();
  };
  const moves = () => sent.map(({ move }) => move);
  const put = (/** @type {any} */ input, /** @type {any} */ value, /** @type {string} */ event) => { input.value = value; input.dispatchEvent(new window.Event(event)); };
  const range = /** @type {any[]} */ ([...part.el.querySelectorAll(".range input")]), opener = /** @type {any} */ (part.el.querySelector("button.name"));
  return { part, sent, moves, slider, box, back, says, put, range, opener, state };
}

test("showing a knob sends nothing", async () => {
  const { part, sent, slider, box } = make();
  await picture();
  assert.deepEqual([sent, slider.value, box.value], [[], "0", "10"]);
  part.stop();
});

test("what is dragged arrives at the kernel: the first value at once, then the newest of every picture", async () => {
  const { part, sent, moves, slider, box, put } = make();
  for (const position of [1, 2, 3, 30]) put(slider, position, "input");
  assert.deepEqual(moves(), [["a.b", 10.2329]]);
  await picture();
  assert.deepEqual(moves(), [["a.b", 10.2329], ["a.b", 19.9526]]);
  assert.equal(box.value, "19.9526");
  put(slider, 31, "input");
  await picture();
  await picture();
  assert.equal(sent.length, 3);
  part.stop();
});

test("a program's move is shown, and sends nothing", async () => {
  const { part, sent, slider, box, says } = make();
  says(500);
  await picture();
  assert.deepEqual([sent, box.value, slider.value, slider.max], [[], "500", "170", "170"]);
  part.stop();
});

test("what the kernel said before it heard of the move does not take the move back, equal values or not", () => {
  const { part, box, slider, says, put } = make();
  put(slider, 30, "input"); // move 1
  says(10, 0);
  assert.equal(box.value, "19.9526");
  put(slider, 1, "input"); // on its way back; the kernel is still talking of the way there
  says(10.2329, 0);
  says(19.9526, 1);
  assert.equal(box.value, "10.2329");
  part.stop();
});

test("once it has heard of the move, the kernel's value stands, also if the move was refused", () => {
  const { part, box, slider, says, put } = make();
  put(slider, 30, "input");
  says(19.9526, 1);
  says(12, 1); // somebody else
  assert.equal(box.value, "12");
  part.stop();
});

test("a number that is none, or too small, is marked, not sent, and gone when one leaves the box", async () => {
  for (const refused of ["-1", ""]) {
    const { part, sent, box, put } = make();
    put(box, refused, "change");
    assert.equal(box.validity.valid, false);
    await picture();
    assert.deepEqual(sent, []);
    put(box, refused, "blur");
    assert.deepEqual([box.value, box.validity.valid], ["10", true]);
    part.stop();
  }
});

test("a typed number moves the slider, beyond its end too; the button returns to the first value", async () => {
  const { part, moves, box, back, slider, put } = make();
  put(box, "1000", "change");
  await picture();
  assert.deepEqual([moves(), slider.value, slider.max], [[["a.b", 1000]], "200", "200"]);
  back.click();
  await picture();
  assert.deepEqual([moves()[1], slider.value], [["a.b", 10], "0"]);
  part.stop();
});

test("who cannot see hears name, unit and value", () => {
  const { part, slider } = make();
  assert.deepEqual([slider.getAttribute("aria-label"), slider.getAttribute("aria-valuetext")], ["a.b in ms", "10 ms"]);
  part.stop();
});

test("the range and the step of a slider can be edited, and it is no move", async () => {
  const { part, moves, slider, box, put, range, opener, state } = make({ log: false });
  const [editor] = /** @type {any} */ (part.el.querySelectorAll(".range"));
  assert.deepEqual([editor.hidden, opener.getAttribute("aria-expanded")], [true, "false"]);
  opener.click();
  assert.deepEqual([editor.hidden, opener.getAttribute("aria-expanded"), range.map(({ value }) => value)], [false, "true", ["1", "100", "0.247"]]);
  put(range[1], 20, "change"); // 1 to 20
  put(range[2], 0.5, "change");
  assert.deepEqual(state.ui.ranges, { "a.b": [1, 20, 0.5] });
  assert.deepEqual([slider.min, slider.max, slider.value, box.value, moves()], ["0", "38", "18", "10", []]);
  put(slider, 19, "input");
  assert.deepEqual(moves(), [["a.b", 10.5]]);
  editor.querySelector("button").click();
  assert.deepEqual([state.ui.ranges, slider.max], [{}, "364"]); // (100 - 10) / 0.2475
  part.stop();
});

test("a range that cannot be used is refused with the reason", () => {
  const { part, put, range, state } = make({ log: false, least: 0 });
  for (const [k, value, words] of /** @type {[number, number, RegExp][]} */ ([[0, -1, /at least 0/], [0, 100, /above the lowest/], [2, 0, /step must be above 0/]])) {
    const before = range[k].value;
    put(range[k], value, "change");
    assert.match(range[2].validationMessage, words);
    assert.equal(state.ui.ranges, undefined);
    range[k].value = before;
  }
  part.stop();
});

test("what is tried out is shown here, is no move, and ends at once", async () => {
  const { part, sent, slider, box, says } = make();
  part.tryOut("a.b", 20);
  part.tryOut("a.b", 40);
  assert.deepEqual([box.value, part.now("a.b")], ["40", 40]);
  await picture();
  part.stopTrying();
  assert.deepEqual([box.value, slider.value], ["10", "0"]);
  assert.deepEqual(sent.map((message) => message.try), [["a.b", 20], ["a.b", 40], null]);
  says(40, 2); // the kernel still talks of the trial
  assert.equal(box.value, "10");
  says(10, 3);
  assert.equal(box.value, "10");
  part.stop();
});

test("a knob that is moved by hand while it is tried out stays there", () => {
  const { part, box, slider, put } = make();
  part.tryOut("a.b", 40);
  put(slider, 30, "input");
  part.stopTrying();
  assert.equal(box.value, "19.9526");
  part.stop();
});
