// Where the voltages of a layer lie, against its threshold and the window in which the surrogate lets a gradient through.
import { BLUE, GREEN, VERMILION, explained, fill, floatsOf, line, scale, text } from "./draw.js";
import { mount } from "./canvas.js";
import { percent } from "./numbers.js";
import { titled, underAxis } from "./plots.js";
import { STYLE } from "./style.js";

/** @typedef {import("./types").Pen} Pen @typedef {import("./types").Box} Box @typedef {import("./types").Point} Point */

const TITLE = 18, AXIS = 22, LEAST = 70, ROOM = 26;

/**
 * Draws the voltages of `scenes.raster_frame`.
 * @param {import("./types").Model} model
 * @returns {import("./types").Part}
 */
export function makeVoltages(model) {
  const el = document.createElement("div"), frame = () => model.get("frame").voltages;
  const { redraw, stop } = mount(el, {
    role: "img",
    arrange: () => TITLE + LEAST + AXIS + ROOM,
    label: () => `${/** @type {import("./types").About} */ (model.get("about")).nouns.state}s: ${frame()?.words ?? frame()?.reason ?? "not computed yet"}`,
    paint: (pen, width, height) => {
      const place = { x: 6, y: TITLE, width: width - 16, height: height - TITLE - AXIS - ROOM }, found = frame();
      const spikes = found?.spikes !== false, what = found?.layer ? `${found.layer}: ${spikes ? "voltages and surrogate" : "outputs"}` : "not looked at yet";
      if (titled(pen, place, what, found, spikes ? "voltages.voltages" : "voltages.outputs")) drawVoltages(pen, place, found);
    },
  });
  model.on("change:frame", redraw);
  return { el, stop: () => { stop(); model.off("change:frame", redraw); } };
}

/** Counts on a square-root scale: at rest there are a hundred times as many. @param {Pen} pen @param {Box} place @param {any} frame */
function drawVoltages(pen, place, { low, high, counts, spiking, thresholds, curve, points, in_window: inside, spiked }) {
  const at = scale(low, high, place.x, place.x + place.width), bottom = place.y + place.height;
  const top = Math.sqrt(Math.max(1, ...counts)), wide = place.width / counts.length;
  if (curve) {
    const values = floatsOf(curve), x = scale(0, points - 1, place.x, place.x + place.width);
    pen.beginPath();
    pen.moveTo(place.x, bottom);
    values.forEach((value, k) => pen.lineTo(x(k), bottom - value * place.height));
    pen.lineTo(place.x + place.width, bottom);
    Object.assign(pen, { fillStyle: GREEN, globalAlpha: 0.22 });
    pen.fill();
    pen.globalAlpha = 1;
    line(pen, Array.from(values, (value, k) => /** @type {Point} */ ([x(k), bottom - value * place.height])), { colour: GREEN, width: 1.4 });
  }
  counts.forEach((/** @type {number} */ count, /** @type {number} */ k) => {
    const tall = (Math.sqrt(count) / top) * place.height, colour = spiking[k] > 0 ? VERMILION : BLUE;
    fill(pen, place.x + k * wide, bottom - tall, Math.max(wide - 0.5, 0.5), tall, { colour, alpha: 0.85 });
  });
  underAxis(pen, place, low, high, "");
  const marks = floatsOf(thresholds);
  for (const v of marks.length > 8 ? [marks[0], marks[marks.length - 1]] : marks)
    line(pen, [[at(v), place.y - 2], [at(v), bottom]], { colour: VERMILION, dash: STYLE.threshold, width: 1.5 });
  const y = bottom + AXIS + 14, shares = inside === null ? [] : [`${percent(inside)} in the surrogate window`];
  if (spiked) shares.push(`${spiked} spikes, voltage unknown`);
  if (inside !== null) explained(pen, "voltages.surrogate window", { ...place, y: y + 6 });
  fill(pen, place.x, y - 8, 9, 9, { colour: GREEN, alpha: curve ? 0.5 : 0 });
  text(pen, shares.join(", ") || "no threshold", place.x + (curve ? 13 : 0), y, { size: 11, room: place.width - 13 });
}
