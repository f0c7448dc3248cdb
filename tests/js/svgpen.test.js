import assert from "node:assert/strict";
import test from "node:test";
import { JSDOM } from "jsdom";
import { axisBeside, dot, line, spikeMarks, text, within } from "./js/draw.js";
import { SvgPen } from "./js/svgpen.js";

const { window } = new JSDOM("");
const THEME = { ink: "#111111", paper: "#ffffff", font: '"A & B", sans-serif' };

/** What a painter drew, as elements. @param {(pen: any) => void} paint */
function drawn(paint) {
  const pen = new SvgPen(100, 50, THEME, (words) => 6 * words.length);
  paint(pen);
  const page = new window.DOMParser().parseFromString(String(pen), "application/xml");
  assert.equal(page.querySelector("parsererror"), null);
  const described = (/** @type {Element} */ el) => Object.fromEntries([...[...el.attributes].map(({ name, value }) => [name, value]), ["words", el.textContent ?? ""]]);
  return (/** @type {string} */ tag) => [...page.querySelectorAll(tag)].map(described);
}

test("every spike is a mark at its time and neuron", () => {
  const bits = new Uint8Array([0b10010000]), marks = drawn((pen) => spikeMarks(pen, new DataView(bits.buffer), 2, 3, { x: 0, y: 0, width: 20, height: 30 }))("rect").slice(1);
  const middle = marks.map(({ x, y, width, height }) => [+x + +width / 2, +y + +height / 2]);
  assert.deepEqual(middle, [[5, 5], [15, 5]]); // step 0 neuron 0, step 1 neuron 0
});

test("a line keeps its gap, its colour and its dash", () => {
  const look = { colour: "#0072b2", dash: [2, 3], width: 2, alpha: 0.5 };
  const [path] = drawn((pen) => line(pen, [[0, 1], [2, 3], [4, NaN], [6, 7], [8, 9]], look))("path");
  const named = ["stroke", "stroke-dasharray", "stroke-width", "stroke-opacity", "fill"].map((name) => path[name]);
  assert.deepEqual([path.d, ...named], ["M0 1L2 3M6 7L8 9", "#0072b2", "2 3", "2", "0.5", "none"]);
});

test("words are words, whatever they are, and have a halo where they want one", () => {
  const found = drawn((pen) => text(pen, "<b> & \"c\"", 3, 4, { bold: true, size: 11, align: "right", halo: true }))("text");
  assert.deepEqual(found.map(({ words }) => words), ["<b> & \"c\"", "<b> & \"c\""]);
  assert.deepEqual([found[0].stroke, found[1].fill], [THEME.paper, THEME.ink]);
  assert.deepEqual([found[1]["font-size"], found[1]["font-weight"], found[1]["text-anchor"], found[1]["font-family"]], ["11", "600", "end", THEME.font]);
});

test("what is drawn within a box is clipped to it, and what comes after is not", () => {
  const find = drawn((pen) => {
    within(pen, { x: 1, y: 3, width: 10, height: 20 }, () => dot(pen, 5, 5, "#d55e00"));
    dot(pen, 50, 5, "#009e73");
  });
  const [clip] = find("clipPath path"), [inside] = find("g path"), all = find("path").filter(({ fill }) => fill === "#009e73");
  assert.deepEqual([clip.d, inside.fill, all.length, find("g path").length], ["M1 2h10v22h-10z", "#d55e00", 1, 1]);
});

for (const [low, high] of [[2.3051, 2.3089], [-1e-5, 1e-5], [99990, 100010], [0, 1], [-65.02, -64.98]])
  test(`the numbers beside a plot from ${low} to ${high} differ from one another`, () => {
    const found = drawn((pen) => axisBeside(pen, { x: 40, y: 0, width: 50, height: 50 }, low, high, 4))("text").map(({ words }) => words);
    assert.ok(found.length > 1);
    assert.equal(new Set(found).size, found.length, String(found));
  });
