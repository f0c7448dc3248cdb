// The paper on which one draws, with a mouse, a finger, a pen or the keyboard; what is drawn is sent, at most once a picture.
import { mount, pointOf } from "./canvas.js";
import { h } from "./dom.js";
import { ORANGE, box, bytesOf, grey, line, picture, shapeOf } from "./draw.js";
import { centred, offCentre, penOf, stroke } from "./ink.js";

/** @typedef {import("./types").Model} Model @typedef {import("./types").Scene} Scene @typedef {import("./types").Pen} Pen */
/** @typedef {import("./ink.js").Drawing} Drawing @typedef {import("./ink.js").Spot} Spot */

const FEW = 32; // pixels in a row: then each has an outline
const TURNS = /** @type {Record<string, Spot>} */ ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] });

/** Sends a drawing with the next picture, the newest one only. @param {Model} model */
function makeSender(model) {
  /** @type {Uint8Array | null} */ let waiting = null;
  let request = 0;
  const send = () => {
    if (!waiting) return void (request = 0);
    model.send({ draw: true }, undefined, [/** @type {ArrayBuffer} */ (waiting.slice().buffer)]);
    waiting = null;
    request = requestAnimationFrame(send);
  };
  return (/** @type {Uint8Array} */ bytes) => {
    waiting = bytes;
    if (!request) send(); // the first one at once
  };
}

/** @param {Model} model @returns {import("./types").Part} */
export function makePad(model) {
  const { paper, samples } = /** @type {import("./types").About} */ (model.get("about")), mayDraw = !paper.reason;
  const scene = () => /** @type {Scene} */ (model.get("scene")), send = makeSender(model);
  /** @type {Drawing} */ let drawing = { rows: paper.rows, columns: paper.columns, bytes: new Uint8Array(paper.rows * paper.columns) };
  let own = false; // drawn here, so what comes back is older
  /** @type {Spot | null} */ let last = null; // of the stroke that is being drawn
  /** @type {Spot} */ let pen = [Math.floor(paper.columns / 2) + 0.5, Math.floor(paper.rows / 2) + 0.5]; // of the keyboard
  let isDown = false;
  const el = h("div", { class: "paper" }), hint = h("p", { class: "hint" });

  const image = () => (mayDraw ? { ...drawing, bytes: new DataView(drawing.bytes.buffer) } : scene().image);
  const place = (/** @type {number} */ width, /** @type {number} */ height) => {
    const shape = shapeOf(image(), Math.min(width, height));
    return { x: (width - shape.width) / 2, y: (height - shape.height) / 2, ...shape };
  };
  const { canvas, redraw, stop } = mount(el, {
    role: mayDraw ? "application" : "img",
    arrange: (_, height) => (mayDraw || scene().image ? height : 0),
    paint: (ctx, width, height) => paint(ctx, place(width, height)),
    label: () => (mayDraw
      ? "Paper to draw on. Arrow keys move the pen, Enter puts it down or lifts it, Delete clears the paper."
      : "The test sample."),
  });

  /** @param {Pen} ctx @param {import("./types").Box} at */
  function paint(ctx, at) {
    picture(ctx, image(), grey, at);
    const { rows, columns } = image(), size = at.width / columns;
    for (let k = 1; mayDraw && k < Math.max(rows, columns) && columns <= FEW; k++) {
      if (k < columns) line(ctx, [[at.x + k * size, at.y], [at.x + k * size, at.y + at.height]], { colour: "#fff", alpha: 0.1 });
      if (k < rows) line(ctx, [[at.x, at.y + k * size], [at.x + at.width, at.y + k * size]], { colour: "#fff", alpha: 0.1 });
    }
    box(ctx, at);
    if (mayDraw && paper.frame) drawFrame(ctx, at, size, paper.frame);
    if (mayDraw && canvas === document.activeElement && canvas.matches(":focus-visible")) drawPen(ctx, at, size);
  }
  /** Where the training images have their ink. @param {Pen} ctx @param {import("./types").Box} at @param {number} size @param {number[]} frame */
  function drawFrame(ctx, at, size, [top, left, bottom, right]) {
    const [x0, x1] = [left, right + 1].map((column) => at.x + column * size), [y0, y1] = [top, bottom + 1].map((row) => at.y + row * size);
    line(ctx, [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]], { colour: ORANGE, width: 2, dash: [8, 6], alpha: 0.8 });
  }
  /** @param {Pen} ctx @param {import("./types").Box} at @param {number} size */
  function drawPen(ctx, at, size) {
    Object.assign(ctx, { strokeStyle: "#fff", lineWidth: isDown ? 4 : 2 });
    ctx.beginPath();
    ctx.arc(at.x + pen[0] * size, at.y + pen[1] * size, Math.max((penOf(drawing) + 0.5) * size, 6), 0, 2 * Math.PI);
    ctx.stroke();
  }

  /** @param {Drawing} now */
  function show(now) {
    own = true;
    drawing = now;
    send(now.bytes);
    tell();
    redraw();
  }
  /** @param {Spot} from @param {Spot} to */
  function draw(from, to) {
    stroke(drawing, from, to, penOf(drawing));
    show(drawing);
  }
  const spotOf = (/** @type {PointerEvent} */ event) => {
    const at = place(canvas.clientWidth, canvas.clientHeight), { x, y } = pointOf(canvas, event), size = at.width / drawing.columns;
    return /** @type {Spot} */ ([(x - at.x) / size, (y - at.y) / size]);
  };
  const lift = () => { last = null; };
  if (mayDraw) {
    canvas.tabIndex = 0;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      last = spotOf(event);
      draw(last, last);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      for (const one of event.getCoalescedEvents?.() ?? [event]) {
        const spot = spotOf(one);
        draw(last, spot);
        last = spot;
      }
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, lift);
    for (const name of ["focus", "blur"]) canvas.addEventListener(name, redraw);
    canvas.addEventListener("keydown", press);
  }
  /** @param {KeyboardEvent} event */
  function press(event) {
    const turn = TURNS[event.key], before = pen;
    if (turn) pen = [Math.min(Math.max(pen[0] + turn[0], 0.5), paper.columns - 0.5), Math.min(Math.max(pen[1] + turn[1], 0.5), paper.rows - 0.5)];
    else if (event.key === "Enter") isDown = !isDown;
    else if (event.key === "Delete" || event.key === "Backspace") clear();
    else return;
    if (isDown && (turn || event.key === "Enter")) draw(before, pen);
    redraw();
    event.preventDefault();
    event.stopPropagation();
  }
  const clear = () => show({ ...drawing, bytes: new Uint8Array(drawing.bytes.length) });
  const middle = () => show(centred(drawing));
  const next = () => model.send({ set: { sample: (model.get("run").view.sample + 1) % samples } });

  const clearing = h("button", { onclick: clear, title: "Clear the paper (Delete)" }, "Clear");
  const centring = h("button", { onclick: middle, title: "Move the centre of mass to the middle, as in the images of MNIST" }, "Centre");
  const buttons = h("div", { class: "buttons" }, ...(mayDraw ? [clearing, centring] : []), h("button", { onclick: next }, "Next test sample"));
  /** Take over what the kernel looks at, unless that is an older state of what is drawn here. */
  function follow() {
    const { label, drawing: seen } = scene();
    if (mayDraw && seen && !last && (label !== null || !own)) {
      drawing = { ...drawing, bytes: bytesOf(seen).slice() };
      own = false;
    }
    tell();
    redraw();
  }
  function tell() {
    const { label, classes } = scene(), { sample } = model.get("run").view;
    const what = label === undefined ? "" : own || label === null ? "Your drawing." : `Test sample ${sample}, true class ${classes[label]}.`;
    const frame = paper.frame ? "Draw inside the dashed frame, where the training images have their ink." : "";
    const how = paper.reason || `${frame} Centre puts the centre of mass in the middle, as MNIST does.`.trim();
    hint.textContent = `${what} ${how}`.trim();
    const isCentred = offCentre(drawing).every((far) => !far);
    centring.disabled = isCentred;
    centring.classList.toggle("primary", !isCentred && (own || label === null));
  }
  follow();
  model.on("change:scene", follow);
  model.on("change:run", tell);
  return {
    el: h("div", { class: "pad" }, el, buttons, hint),
    stop: () => { stop(); model.off("change:scene", follow); model.off("change:run", tell); },
  };
}
