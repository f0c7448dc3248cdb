import assert from "node:assert/strict";
import test from "node:test";
import { centred, offCentre, penOf, stroke } from "./js/ink.js";

const paper = (rows = 9, columns = 9) => ({ rows, columns, bytes: new Uint8Array(rows * columns) });
/** @param {{ columns: number, bytes: Uint8Array }} drawing @param {number} row @param {number} column */
const at = ({ columns, bytes }, row, column) => bytes[row * columns + column];

test("a line inks the pixels along it, and half of those whose middle is at the pen's edge", () => {
  const drawing = paper();
  stroke(drawing, [2.5, 4.5], [6.5, 4.5], 1);
  for (const column of [2, 3, 4, 5, 6]) {
    assert.equal(at(drawing, 4, column), 255);
    assert.deepEqual([at(drawing, 3, column), at(drawing, 5, column)], [128, 128]); // one pixel away, as far as the edge
    assert.equal(at(drawing, 2, column), 0);
  }
  assert.deepEqual([at(drawing, 4, 0), at(drawing, 4, 1), at(drawing, 4, 7), at(drawing, 4, 8)], [0, 128, 128, 0]);
});

test("ink is never taken away, and what is off the paper is lost", () => {
  const drawing = paper();
  drawing.bytes.fill(200);
  stroke(drawing, [-50, -50], [4.5, 4.5], 1);
  assert.equal(Math.min(...drawing.bytes), 200);
  assert.equal(at(drawing, 0, 0), 255);
});

test("a point is round", () => {
  const drawing = paper();
  stroke(drawing, [4.5, 4.5], [4.5, 4.5], 1.5);
  const turned = Uint8Array.from(drawing.bytes, (_, k) => at(drawing, k % 9, Math.floor(k / 9)));
  assert.deepEqual(drawing.bytes, turned);
  assert.deepEqual([...drawing.bytes], [...drawing.bytes].reverse());
});

test("a pen leaves ink on the coarsest paper, wherever it is put", () => {
  for (let x = 0; x <= 4; x += 0.125) {
    const drawing = paper(4, 4);
    stroke(drawing, [x, 2], [x, 2], penOf(drawing));
    assert.ok(Math.max(...drawing.bytes) >= 90, `${x}: ${Math.max(...drawing.bytes)}`);
  }
});

test("a drawing is moved by whole pixels until its centre of mass is in the middle", () => {
  const drawing = paper(10, 8);
  stroke(drawing, [1.5, 1.5], [1.5, 3.5], 0.6);
  const [right, down] = offCentre(drawing), moved = centred(drawing);
  assert.deepEqual([right, down], [Math.round(1.5 - 4), Math.round(2.5 - 5)].map((far) => far || 0));
  assert.deepEqual(offCentre(moved), [0, 0]);
  assert.deepEqual([...moved.bytes].sort(), [...drawing.bytes].sort()); // the same ink
  assert.deepEqual([...centred(moved).bytes], [...moved.bytes]);
});

test("no ink is moved off the paper, and empty paper stays as it is", () => {
  const drawing = paper(5, 5);
  drawing.bytes.fill(255, 0, 5); // a full row at the top
  drawing.bytes[20] = 10; // and a spot in the corner
  const moved = centred(drawing);
  assert.equal(moved.bytes.reduce((a, b) => a + b, 0), drawing.bytes.reduce((a, b) => a + b, 0));
  assert.deepEqual(offCentre(paper()), [0, 0]);
  assert.deepEqual(centred(paper()).bytes, paper().bytes);
});
