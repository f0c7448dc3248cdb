// The health of the layers as small multiples: firing rates, share in the surrogate's window, gradients.
const TALL = 200, NARROW = 180, LEFT = 4, RIGHT = 20, BETWEEN = 34;

// One panel for each spiking layer, one for the norms of the gradients, one for the gradients over time.
function panelsOf({ layers }) {
  const panels = layers.filter((layer) => layer.rates).map((layer) => ({ draw: drawRates, of: layer }));
  if (layers.length) panels.push({ draw: drawNorms, of: layers });
  const lines = layers.filter((layer) => layer.over_time);
  if (lines.length) panels.push({ draw: drawOverTime, of: lines });
  return panels;
}

function arrangePanels(frame, width) {
  const count = panelsOf(frame).length, room = width - LEFT - RIGHT + BETWEEN;
  const columns = Math.max(1, Math.min(count, Math.floor(room / (NARROW + BETWEEN))));
  return { columns, each: room / columns, height: Math.ceil(count / columns) * TALL };
}

function heading(pen, place, words) {
  text(pen, words, place.x, place.y + 14, { room: place.width });
}

// ---- firing rates ----

function drawRates(pen, { name, rates, in_window }, panel) {
  heading(pen, panel, `${name}: firing rates`);
  const end = 18, gap = 9; // dead and saturated neurons have bars of their own at the ends
  const place = { x: panel.x + end + gap, y: panel.y + 36, width: panel.width - 2 * (end + gap), height: 66 };
  const bottom = place.y + place.height, highest = Math.max(1, rates.dead, rates.saturated, ...rates.counts);
  const tall = (count) => (count ? Math.max(2, (count / highest) * place.height) : 0);
  const bar = (x, width, count, colour) => fill(pen, x, bottom - tall(count), width, tall(count), { colour });
  const wide = place.width / rates.counts.length;
  rates.counts.forEach((count, k) => bar(place.x + k * wide + 0.5, wide - 1, count, BLUE));
  const right = panel.x + panel.width;
  for (const [x, count, colour] of [[panel.x, rates.dead, VERMILION], [right - end, rates.saturated, ORANGE]]) {
    bar(x, end, count, colour);
    hatch(pen, { x, y: bottom - tall(count), width: end, height: tall(count) });
    text(pen, String(count), x + end / 2, bottom - tall(count) - 4, { align: "center", size: 11, bold: count > 0 });
    line(pen, [[x, bottom + 0.5], [x + end, bottom + 0.5]], { alpha: 0.5 });
  }
  line(pen, [[place.x, bottom + 0.5], [place.x + place.width, bottom + 0.5]], { alpha: 0.5 });
  const at = scale(0, rates.top, place.x, place.x + place.width);
  axisUnder(pen, place, ticks(0, rates.top, place.width / 45), at, short);
  text(pen, "dead", panel.x, bottom + 28, { size: 11 });
  text(pen, "Hz", place.x + place.width / 2, bottom + 28, { align: "center", size: 11, alpha: 0.8 });
  text(pen, "saturated", right, bottom + 28, { align: "right", size: 11 });
  const rows = wrap(pen, rates.words, panel.width);
  rows.forEach((words, k) => text(pen, words, panel.x, bottom + 44 + 13 * k, { size: 11 }));
  if (in_window !== null) drawShare(pen, in_window, { ...panel, y: panel.y + 174 });
}

// Distinguishes a bar without colour.
function hatch(pen, { x, y, width, height }) {
  pen.save();
  pen.beginPath();
  pen.rect(x, y, width, height);
  pen.clip();
  const look = { colour: pen.theme.paper, width: 1.5 };
  for (let k = -height; k < width; k += 5) line(pen, [[x + k, y + height], [x + k + height, y]], look);
  pen.restore();
}

// Break words into lines after commas.
function wrap(pen, words, room) {
  pen.font = `11px ${pen.theme.font}`;
  const lines = [];
  for (const part of words.split(/(?<=, )/)) {
    const longer = (lines[lines.length - 1] ?? "") + part;
    if (lines.length && pen.measureText(longer.trim()).width <= room) lines[lines.length - 1] = longer;
    else lines.push(part);
  }
  return lines;
}

function drawShare(pen, share, { x, y, width }) {
  text(pen, "in the surrogate window", x, y, { size: 11, room: width - 40 });
  text(pen, `${Math.round(100 * share)} %`, x + width, y, { size: 11, bold: true, align: "right" });
  fill(pen, x, y + 5, width, 7, { alpha: 0.15 });
  fill(pen, x, y + 5, width * share, 7, { colour: GREEN });
}

// ---- gradients ----

const SUPERSCRIPT = { ...Array.from("\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"), "-": "\u207b" };
const power = (k) => `10${[...String(k)].map((sign) => SUPERSCRIPT[sign]).join("")}`;

// Whole powers of ten around the positive values, at most ten of them; `marks` get a number.
function decades(values, count) {
  const logs = values.filter((v) => v > 0).map(Math.log10);
  if (!logs.length) logs.push(0);
  const high = Math.ceil(Math.max(...logs));
  const low = Math.max(high - 10, Math.min(high - 1, Math.floor(Math.min(...logs) - 0.3)));
  const marks = [];
  for (let k = low; k <= high; k += Math.ceil((high - low) / count)) marks.push(k);
  return { low, high, marks };
}

function drawNorms(pen, layers, panel, { step }) {
  heading(pen, panel, `gradient norm, step ${step.toLocaleString("en")}`);
  const tall = Math.min(46, 140 / layers.length), thick = Math.max(3, Math.min(12, tall - 17));
  const numbers = 54; // room for them beside the bars
  const place = { x: panel.x, y: panel.y + 24, width: panel.width - numbers, height: tall * layers.length };
  const { low, high, marks } = decades(layers.map((layer) => layer.gradient ?? 0), place.width / 45);
  const at = scale(low, high, place.x, place.x + place.width), bottom = place.y + place.height;
  for (const k of marks) {
    line(pen, [[at(k), place.y], [at(k), bottom + 4]], { alpha: 0.15 });
    text(pen, power(k), at(k), bottom + 16, { align: k === low ? "left" : "center", size: 11, alpha: 0.8 });
  }
  layers.forEach((layer, k) => {
    const y = place.y + k * tall + 14;
    text(pen, layer.name, place.x, y, { size: 11, room: place.width, halo: true });
    const length = layer.gradient > 0 ? Math.max(2, at(Math.log10(layer.gradient)) - place.x) : 0;
    fill(pen, place.x, y + 4, length, thick, { colour: lookOf(k).colour });
    text(pen, layer.gradient_words, place.x + length + 5, y + 4 + thick / 2 + 4, { size: 11, bold: true, halo: true });
  });
}

function drawOverTime(pen, layers, panel, frame) {
  heading(pen, panel, "gradient over time");
  const place = { x: panel.x + 34, y: panel.y + 28, width: panel.width - 34, height: 108 };
  const bottom = place.y + place.height, right = place.x + place.width;
  const lines = layers.map((layer) => floatsOf(layer.over_time));
  const { low, high, marks } = decades(lines.flatMap((values) => [...values]), 4);
  const y = scale(low, high, bottom, place.y), steps = Math.max(...layers.map((layer) => layer.steps));
  for (const k of marks) {
    line(pen, [[place.x, y(k)], [right, y(k)]], { alpha: 0.15 });
    text(pen, power(k), place.x - 6, y(k) + 4, { align: "right", size: 11, alpha: 0.8 });
  }
  const at = scale(0, steps, place.x, right), times = ticks(0, steps, Math.min(place.width / 50, steps));
  axisUnder(pen, place, times, at, (tick) => short(tick, 6) + (tick ? "" : " steps"));
  box(pen, place);
  const looks = layers.map((layer) => ({ ...lookOf(frame.layers.indexOf(layer)), width: 1.8 }));
  layers.forEach(({ steps: own }, k) => {
    const x = (t) => at(((t + 0.5) * own) / lines[k].length);
    const height = (v) => (v > 0 ? Math.min(y(Math.log10(v)), bottom) : NaN);
    line(pen, [...lines[k]].map((v, t) => [x(t), height(v)]), looks[k]);
  });
  drawNames(pen, layers, looks, { ...panel, y: bottom + 30 });
}

function drawNames(pen, layers, looks, panel) {
  let { x, y } = panel;
  layers.forEach(({ name }, k) => {
    pen.font = `11px ${pen.theme.font}`;
    const width = 23 + pen.measureText(name).width;
    if (x > panel.x && x + width > panel.x + panel.width) [x, y] = [panel.x, y + 13];
    line(pen, [[x, y], [x + 18, y]], looks[k]);
    text(pen, name, x + 23, y + 4, { size: 11, room: panel.width - 23 });
    x += width + 14;
  });
}

export default {
  render({ model, el }) {
    const frame = () => model.get("frame");
    const { redraw, stop } = mount(el, {
      role: "img",
      arrange: (width) => (frame().layers ? arrangePanels(frame(), width).height : 0),
      label: () => `Health of the layers: ${frame().summary}`,
      paint: (pen, width) => {
        const { columns, each } = arrangePanels(frame(), width);
        panelsOf(frame()).forEach(({ draw, of }, k) => {
          const x = LEFT + (k % columns) * each, y = Math.floor(k / columns) * TALL;
          draw(pen, of, { x, y, width: each - BETWEEN }, frame());
        });
      },
    });
    model.on("change:frame", redraw);
    return () => {
      stop();
      model.off("change:frame", redraw);
    };
  },
};
