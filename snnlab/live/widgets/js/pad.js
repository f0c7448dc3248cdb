// The paper on which one draws, with a mouse, a finger, a pen or the keyboard; what is drawn is sent, at most once a picture.
import { mount, pointOf } from "./canvas.js";
import { h } from "./dom.js";
import { ORANGE, box, bytesOf, grey, line, picture, shapeOf } from "./draw.js";
import { TOLD, hand } from "./hand.js";
import { centred, offCentre, penOf, stroke } from "./ink.js";

/** @typedef {import("./types").Model} Model @typedef {import("./types").Scene} Scene @typedef {import("./types").Pen} Pen */
/** @typedef {import("./ink.js").Drawing} Drawing @typedef {import("./ink.js").Spot} Spot */

const FEW = 32; // pixels in a row: then each has an outline

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
    label: () => (mayDraw ? TOLD : "The test sample."),
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
    if (pen && canvas === document.activeElement && canvas.matches(":focus-visible")) pen.show(ctx, at, size, (penOf(drawing) + 0.5) * size);
  }
  /** Where the training images have their ink. @param {Pen} ctx @param {import("./types").Box} at @param {number} size @param {number[]} frame */
  function drawFrame(ctx, at, size, [top, left, bottom, right]) {
    const [x0, x1] = [left, right + 1].map((column) => at.x + column * size), [y0, y1] = [top, bottom + 1].map((row) => at.y + row * size);
    line(ctx, [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]], { colour: ORANGE, width: 2, dash: [8, 6], alpha: 0.8 });
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
  const clear = () => show({ ...drawing, bytes: new Uint8Array(drawing.bytes.length) });
  const pen = mayDraw ? hand(canvas, paper, { spot: spotOf, draw, clear, redraw }, [Math.floor(paper.columns / 2) + 0.5, Math.floor(paper.rows / 2) + 0.5]) : null;
  const middle = () => show(centred(drawing));
  const next = () => model.send({ set: { sample: (model.get("run").view.sample + 1) % samples } });

  const clearing = h("button", { onclick: clear, title: "Clear the paper (Delete)" }, "Clear");
  const centring = h("button", { onclick: middle, title: "Move the centre of mass to the middle, as in the images of MNIST" }, "Centre");
  const buttons = h("div", { class: "buttons" }, ...(mayDraw ? [clearing, centring] : []), h("button", { onclick: next }, "Next test sample"));
  /** Take over what the kernel looks at, unless that is an older state of what is drawn here. */
  function follow() {
    const { label, drawing: seen } = scene();
    if (pen && seen && !pen.isDrawing() && (label !== null || !own)) {
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
