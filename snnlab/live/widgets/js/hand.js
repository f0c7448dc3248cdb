// The hand that draws on a paper: with a mouse, a finger or a pen, or with the arrow keys.

/** @typedef {import("./ink.js").Spot} Spot */

export const TOLD = "Paper to draw on. Arrow keys move the pen, Enter puts it down or lifts it, Delete clears the paper.";

const TURNS = /** @type {Record<string, Spot>} */ ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] });

/**
 * Let a hand draw on a canvas.
 * @param {HTMLCanvasElement} canvas @param {{ rows: number, columns: number }} paper
 * @param {{ spot: (event: PointerEvent) => Spot, draw: (from: Spot, to: Spot) => void, clear: () => void, redraw: () => void }} deeds
 *   where in the drawing an event is; draw a line; clear the paper; show pen and drawing again
 * @param {Spot} pen where the pen of the keyboard begins
 */
export function hand(canvas, { rows, columns }, { spot, draw, clear, redraw }, pen) {
  /** @type {Spot | null} */ let last = null; // of the stroke that is being drawn
  let isDown = false;
  canvas.tabIndex = 0;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    last = spot(event);
    draw(last, last);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) {
      const now = spot(one);
      draw(last, now);
      last = now;
    }
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { last = null; });
  for (const name of ["focus", "blur"]) canvas.addEventListener(name, redraw);
  canvas.addEventListener("keydown", (event) => {
    const turn = TURNS[event.key], before = pen;
    if (turn) pen = [Math.min(Math.max(pen[0] + turn[0], 0.5), columns - 0.5), Math.min(Math.max(pen[1] + turn[1], 0.5), rows - 0.5)];
    else if (event.key === "Enter") isDown = !isDown;
    else if (event.key === "Delete" || event.key === "Backspace") clear();
    else return;
    if (isDown && (turn || event.key === "Enter")) draw(before, pen);
    redraw();
    event.preventDefault();
    event.stopPropagation();
  });
  return {
    isDrawing: () => last !== null,
    /** Show where the pen of the keyboard is. @param {CanvasRenderingContext2D} ctx @param {import("./types").Box} at @param {number} size of a pixel @param {number} radius */
    show: (ctx, at, size, radius) => {
      Object.assign(ctx, { strokeStyle: "#fff", lineWidth: isDown ? 4 : 2 });
      ctx.beginPath();
      ctx.arc(at.x + pen[0] * size, at.y + pen[1] * size, Math.max(radius, 6), 0, 2 * Math.PI);
      ctx.stroke();
    },
  };
}
