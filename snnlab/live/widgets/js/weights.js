// The weights: how they are distributed over the run, and what every neuron of a layer looks at, as one sheet.
import { box, bytesOf, diverging, explained, intsOf, picture, scaleBar, text } from "./draw.js";
import { mount, pointOf } from "./canvas.js";
import { h } from "./dom.js";
import { choice } from "./fields.js";
import { readable } from "./numbers.js";
import { MARK, lines, shaded, titled } from "./plots.js";

/** @typedef {import("./types").Pen} Pen @typedef {import("./types").Box} Box */

const LOG = 76, TOP = 20, GAP = 3;

/** How the tiles are laid out. @param {any} sheet @param {number} width @returns {{ per: number, wide: number, tall: number, rows: number, count: number, y: number }} */
export function layOut(sheet, width) {
  const count = sheet?.units ? intsOf(sheet.units).length : 0, flat = sheet?.rows <= 4, y = TOP + LOG + 62;
  if (!count) return { per: 1, wide: 0, tall: 0, rows: 0, count, y };
  if (flat) return { per: 1, wide: width - 52, tall: Math.max(3 * sheet.rows, Math.min(10, 240 / count)), rows: count, count, y };
  const side = Math.max(16, Math.min(64, Math.sqrt((width * 260) / count) - GAP)), ratio = sheet.columns / sheet.rows;
  const wide = side * Math.min(1, Math.max(ratio, 0.25)), tall = side / Math.max(1, Math.min(ratio, 4));
  const per = Math.max(1, Math.floor((width - 12) / (wide + GAP)));
  return { per, wide, tall, rows: Math.ceil(count / per), count, y };
}

/**
 * Draws the tab "Weights"; a click on a tile selects its neuron.
 * @param {import("./types").Model} model
 * @returns {import("./types").Part}
 */
export function makeWeights(model) {
  const frame = () => (model.get("tab").tab === "Weights" ? model.get("tab") : {}), sheet = () => frame().fields;
  const sort = choice(model, "weights_sort", "weights.sorted by", model.get("about").weight_sorts), layer = choice(model, "weights_layer", "weights.layer", []);
  const el = h("div", { class: "column" }, h("div", { class: "fields" }, h("label", {}, h("span", {}, "layer"), layer), h("label", {}, h("span", {}, "sorted by"), sort)));
  const body = h("div", { class: "fill", tabindex: 0, role: "region", "aria-label": "weights" });
  el.append(body);
  const { canvas, redraw, stop } = mount(body, {
    role: "img",
    arrange: (width) => { const { y, rows, tall } = layOut(sheet(), width); return y + rows * (tall + GAP) + 10; },
    label: () => `Weights: ${sheet()?.words ?? "not looked at yet"}. ${frame().log?.words ?? ""}`,
    paint: (pen, width) => paint(pen, width, frame(), model.get("frame").neuron),
  });
  canvas.addEventListener("click", (event) => {
    const point = pointOf(canvas, event), { per, wide, tall, count, y } = layOut(sheet(), canvas.clientWidth);
    const column = Math.floor((point.x - 6) / (wide + GAP)), k = per * Math.floor((point.y - y) / (tall + GAP)) + column;
    if (point.y >= y && column >= 0 && column < per && k < count) model.send({ select: { layer: frame().layer, unit: intsOf(sheet().units)[k] } });
  });
  const show = () => {
    const { layers = [], layer: seen } = frame();
    const known = [...layer.options].map(({ value }) => value).join() === layers.join();
    if (!known) layer.replaceChildren(...layers.map((/** @type {string} */ name) => h("option", {}, name)));
    if (seen) layer.value = seen;
    sort.value = model.get("run").view.weights_sort;
    redraw();
  };
  const events = ["change:tab", "change:run", "change:frame"];
  for (const event of events) model.on(event, show);
  show();
  return { el, stop: () => { stop(); for (const event of events) model.off(event, show); } };
}

/** @param {Pen} pen @param {number} width @param {any} frame @param {import("./types").NeuronFrame | null} selected */
function paint(pen, width, { log, fields, layer, reason }, selected) {
  if (!log) return void text(pen, reason ?? "Looking at the weights ...", 6, 30, { room: width - 12 });
  const place = { x: 46, y: TOP, width: width - 56, height: LOG };
  if (titled(pen, place, "distribution over the run", log, "weights.distribution")) {
    shaded(pen, place, log.image);
    text(pen, readable(log.high), place.x - 4, place.y + 9, { align: "right", size: 10 });
    text(pen, readable(log.low), place.x - 4, place.y + LOG, { align: "right", size: 10 });
    text(pen, `step ${readable(log.steps[0], 7)}`, place.x, place.y + LOG + 13, { size: 10, alpha: 0.8 });
    text(pen, `step ${readable(log.steps[log.steps.length - 1], 7)}`, place.x + place.width, place.y + LOG + 13, { size: 10, alpha: 0.8, align: "right" });
  }
  const where = layOut(fields, width);
  if (fields.reason) return void lines(pen, fields.reason, { x: 6, y: where.y, width: width - 12, height: 0 });
  explained(pen, "weights.fields", { x: 6, y: where.y, width: width - 12, height: 0 }, 44);
  lines(pen, fields.words, { x: 6, y: where.y - 32, width: width - 12, height: 0 }, 2);
  scaleBar(pen, fields.scale, 6, where.y - 13);
  drawTiles(pen, fields, where, selected && selected.layer === layer ? selected.unit : -1);
}

/** @param {Pen} pen @param {any} fields @param {ReturnType<typeof layOut>} where @param {number} selected */
function drawTiles(pen, { units, tiles, rows, columns }, { per, wide, tall, y }, selected) {
  const order = intsOf(units), bytes = bytesOf(tiles), size = rows * columns;
  order.forEach((unit, k) => {
    const place = { x: 6 + (k % per) * (wide + GAP), y: y + Math.floor(k / per) * (tall + GAP), width: wide, height: tall };
    const view = new DataView(bytes.buffer, bytes.byteOffset + k * size, size);
    picture(pen, { rows, columns, bytes: view }, diverging, place);
    if (per === 1) text(pen, String(unit), place.x + wide + 4, place.y + tall / 2 + 4, { size: Math.min(10, tall + 2) });
    if (unit !== selected) return;
    Object.assign(pen, { strokeStyle: MARK, lineWidth: 2 });
    pen.strokeRect(place.x - 1, place.y - 1, wide + 2, tall + 2);
  });
  if (per > 1) box(pen, { x: 6, y, width: per * (wide + GAP) - GAP, height: Math.ceil(order.length / per) * (tall + GAP) - GAP }, 0.15);
}
