// One sample on its way through the network: its image, the spikes of every layer, the readout traces, one neuron.
const LEFT = 168, RIGHT = 20, TITLE = 20, AXIS = 26, GAP = 8, IMAGE = 100, LEGEND = 13;

// Where everything is; depends only on the scene, so that nothing jumps from frame to frame.
function arrangeScene(scene, width) {
  const rows = {};
  let y = 2;
  const add = (name, height, after) => {
    rows[name] = { x: LEFT, y: y + TITLE, width: width - LEFT - RIGHT, height };
    y += TITLE + height + after;
  };
  if (scene.input) add("input", 64, GAP);
  for (const name of scene.layers) add(`layer ${name}`, scene.layers.length > 1 ? 92 : 128, GAP);
  add("readout", 134, AXIS);
  const height = LEGEND * Math.min(scene.classes.length, 10);
  const legend = { x: 12, y: Math.max(rows.readout.y, TITLE + IMAGE + 48), width: 116, height };
  y = Math.max(y, legend.y + height + 6);
  if (scene.readout) add("neuron", 96, AXIS);
  return { rows, legend, height: y };
}

// The areas in which a unit can be chosen, in keyboard order. `units[row]` is the unit that a row shows.
function areasOf(scene, frame, { rows, legend }) {
  const layers = scene.layers.filter((name) => frame.layers[name]).map((name) => {
    const { order, ...drawn } = frame.layers[name];
    return { name, drawn, box: rows[`layer ${name}`], units: intsOf(order) };
  });
  return scene.readout ? [...layers, { name: scene.readout, box: legend, units: frame.shown }] : layers;
}

// ---- sample, layers, readout ----

function drawSample(pen, { image, classes, label }, prediction) {
  const place = { x: 4, y: TITLE + 2, ...shapeOf(image, IMAGE) }, y = place.y + place.height + 18, room = LEFT - 32;
  picture(pen, image, grey, place);
  box(pen, place);
  text(pen, `true: ${classes[label]}`, 4, y, { room });
  if (prediction === undefined) return;
  const right = prediction === label, x = 11 + text(pen, `predicted: ${classes[prediction]}`, 4, y + 17, { room });
  const mark = right ? [[0, 5], [4, 9], [11, 0]] : [[0, 0], [9, 9], [4.5, 4.5], [9, 0], [0, 9]];
  line(pen, mark.map(([dx, dy]) => [x + dx, y + 8 + dy]), { colour: right ? GREEN : VERMILION, width: 2.5 });
}

const endOf = (scene) => scene.steps * (scene.dt || 1);
const timeScale = (scene, { x, width }) => scale(0, endOf(scene), x, x + width);
const timeTicks = (scene, { width }) => ticks(0, endOf(scene), Math.min(width / 80, scene.steps));

function drawTime(pen, scene, place) {
  const unit = scene.dt ? " ms" : " steps";
  const word = (tick) => short(tick, 6) + (tick ? "" : unit);
  axisUnder(pen, place, timeTicks(scene, place), timeScale(scene, place), word);
}

// Title, frame, and hairlines at the times that the axis names.
function drawPlot(pen, scene, place, title) {
  const { x, y, width, height } = place, at = timeScale(scene, place);
  text(pen, title, x, y - 6, { room: width });
  for (const tick of timeTicks(scene, place)) line(pen, [[at(tick), y], [at(tick), y + height]], { alpha: 0.1 });
  box(pen, place);
}

function drawInput(pen, scene, place, columns) {
  drawPlot(pen, scene, place, scene.input.title);
  spikeMarks(pen, scene.input.bits, columns, scene.input.units, place);
}

function drawLayer(pen, scene, { drawn, box: place, units }, columns) {
  drawPlot(pen, scene, place, drawn.title);
  if (drawn.bits) spikeMarks(pen, drawn.bits, columns, units.length, place);
  else picture(pen, drawn.image, diverging, place);
}

// x of the points of a trace: one every `cell` steps, in the middle of its cell.
function timesOf(scene, { x, width }, points) {
  const at = scale(0, scene.steps, x, x + width);
  return Array.from({ length: points }, (_, k) => at(Math.min((k + 0.5) * scene.cell, scene.steps - 0.5)));
}

function drawReadout(pen, scene, frame, { rows: { readout: place }, legend }) {
  const { classes, label } = scene, { shown, prediction } = frame;
  const values = floatsOf(frame.readout), count = shown.length;
  const truth = prediction === label ? "" : `, true is ${classes[label]}`;
  drawPlot(pen, scene, place, `readout: ${classes[prediction]} is highest${truth}`);
  const low = values.reduce((a, b) => Math.min(a, b), 0), high = values.reduce((a, b) => Math.max(a, b), 0);
  const room = 0.16 * (high - low || 1); // for the label above the highest point
  const at = axisBeside(pen, place, low - 0.3 * room, high + room, 4);
  const x = timesOf(scene, place, values.length / count);
  const traces = shown.map((k, c) => ({ k, points: x.map((px, t) => [px, at(values[t * count + c])]) }));
  traces.forEach(({ k, points }, row) => {
    const wins = k === prediction;
    line(pen, points, lookOfClass(k, wins));
    drawLegend(pen, legend, row, k, classes[k], wins);
  });
  for (const { k, points } of traces) {
    if (k === prediction) drawPeak(pen, place, points, k, classes[k], -7);
    else if (k === label) drawPeak(pen, place, points, k, `true: ${classes[k]}`, 16);
  }
}

// The winner is solid and thick, as in the SVG picture.
const lookOfClass = (k, wins) => (wins ? { ...lookOf(k), dash: [], width: 3 } : { ...lookOf(k), width: 1.4 });

function drawPeak(pen, place, points, k, words, below) {
  const [x, y] = points.reduce((best, point) => (point[1] < best[1] ? point : best));
  dot(pen, x, y, lookOf(k).colour);
  const align = x > place.x + place.width - 80 ? "right" : x < place.x + 80 ? "left" : "center";
  text(pen, words, x, y + below, { align, bold: true, halo: true, room: 140 });
}

function drawLegend(pen, { x, y, width }, row, k, name, wins) {
  const middle = y + (row + 0.5) * LEGEND;
  line(pen, [[x + 2, middle], [x + 24, middle]], lookOfClass(k, wins));
  text(pen, name, x + 30, middle + 4, { size: 11, bold: wins, room: width - 32 });
}

// ---- one neuron: its voltage on the same time axis, its weights beside it ----

function drawNeuron(pen, scene, neuron, place, width, columns) {
  line(pen, [[4, place.y - TITLE - 0.5], [width - 4, place.y - TITLE - 0.5]], { alpha: 0.2 });
  if (!neuron) {
    const x = place.x + place.width / 2, y = place.y + place.height / 2, look = { align: "center", alpha: 0.65 };
    box(pen, place, 0.15);
    text(pen, "click a neuron (or press Enter on the raster)", x, y - 4, look);
    text(pen, "to see its voltage and weights", x, y + 13, look);
    return;
  }
  drawPlot(pen, scene, place, neuron.title);
  drawTime(pen, scene, place);
  if (neuron.trace) drawVoltage(pen, scene, neuron, place);
  if (neuron.spikes) spikeMarks(pen, neuron.spikes, columns, 1, { ...place, y: place.y + 3, height: 9 }, VERMILION);
  if (neuron.weights) drawWeights(pen, neuron.weights, place);
}

function drawVoltage(pen, scene, { trace, threshold, spikes }, place) {
  const values = floatsOf(trace), right = place.x + place.width;
  const shown = [threshold ?? 0, ...values]; // not 0 in general: voltages may be -65 to -50
  const low = Math.min(...shown), high = Math.max(...shown), span = high - low || 1;
  const top = spikes ? 0.3 : 0.12; // room for the marks of the spikes
  const at = axisBeside(pen, place, low - 0.08 * span, high + top * span, 3);
  if (threshold !== null) {
    line(pen, [[place.x, at(threshold)], [right, at(threshold)]], { dash: STYLE.threshold, colour: VERMILION, width: 1.2 });
    text(pen, "threshold", right - 5, at(threshold) + 13, { align: "right", size: 11, halo: true });
  }
  const x = timesOf(scene, place, values.length);
  line(pen, x.map((px, t) => [px, at(values[t])]), { colour: BLUE, width: 1.8 });
}

function drawWeights(pen, weights, { y, height }) {
  const { rows, labels = [] } = weights, x = labels.length ? 18 : 4;
  const place = { x, y, ...(rows === 1 ? { width: 104, height: 26 } : shapeOf(weights, Math.min(height, 104 - x))) };
  text(pen, weights.title, 4, y - 6, { room: LEFT - 12 });
  picture(pen, weights, diverging, place);
  box(pen, place);
  labels.forEach((name, k) => text(pen, name, 4, y + ((k + 0.5) * place.height) / rows + 4, { size: 11 }));
  scaleBar(pen, weights.scale, 4, place.y + place.height + 10);
}

// ---- choosing a neuron ----

// A band over its row, with an arrow; over an image, whose colours have a meaning, two lines instead.
function drawChoice(pen, { drawn, box: place, units }, row, colour) {
  const { x, width } = place, y = place.y + ((row + 0.5) * place.height) / units.length;
  const height = Math.max(place.height / units.length, 3);
  if (!drawn || drawn.bits) fill(pen, x, y - height / 2, width, height, { colour, alpha: 0.35 });
  else for (const edge of [y - height / 2 - 1, y + height / 2]) fill(pen, x, edge, width, 1, { colour: "#000" });
  arrow(pen, x - 1, y, colour);
}

function wordsOf({ name, drawn, units }, row, columns) {
  if (!drawn || !drawn.bits) return `${name} unit ${units[row]}`;
  const bytes = bytesOf(drawn.bits);
  let count = 0;
  for (let t = 0; t < columns; t++) if (bitOf(bytes, t * units.length + row)) count++;
  return `${name} neuron ${units[row]}, ${count === 1 ? "1 spike" : `${count} spikes`}`;
}

// The cursor, and the name of the unit under it at the right of the layer's title.
function drawCursor(pen, area, row, columns) {
  const { x, y, width } = area.box;
  drawChoice(pen, area, row, ORANGE);
  if (area.drawn) text(pen, wordsOf(area, row, columns), x + width, y - 6, { align: "right", halo: true });
}

// Where an arrow key leads; after the last row of a layer comes the first row of the next.
function moved(areas, { area, row }, key) {
  const last = areas.length - 1, next = row + (key === "ArrowDown" ? 1 : -1);
  if (key === "ArrowLeft") return { area: Math.max(area - 1, 0), row: 0 };
  if (key === "ArrowRight") return { area: Math.min(area + 1, last), row: 0 };
  if (next < 0) return area ? { area: area - 1, row: areas[area - 1].units.length - 1 } : { area, row };
  if (next < areas[area].units.length) return { area, row: next };
  return area < last ? { area: area + 1, row: 0 } : { area, row };
}

function placeUnder(areas, { offsetX, offsetY }) {
  for (let k = 0; k < areas.length; k++) {
    const { box: { x, y, width, height }, units } = areas[k], right = offsetX - x, down = offsetY - y;
    if (right >= 0 && right < width && down >= 0 && down < height)
      return { area: k, row: Math.floor((down / height) * units.length) };
  }
  return null;
}

const same = (a, b) => a === b || (a && b && a.layer === b.layer && a.unit === b.unit);

class View {
  constructor(model, el) {
    this.model = model;
    this.cursor = null; // { area: number, row: number }
    this.asked = undefined; // chosen here, not yet confirmed by a frame
    const arrange = (width) => (this.scene.steps ? arrangeScene(this.scene, width).height : 0);
    const paint = (pen, width) => this.paint(pen, width), label = () => this.label();
    Object.assign(this, mount(el, { role: "application", arrange, paint, label })); // canvas, redraw, stop
    this.canvas.tabIndex = 0;
    this.canvas.style.outlineOffset = "-2px";
    this.canvas.dataset.lmSuppressShortcuts = "true"; // the arrow keys move the cursor, not the notebook
    const on = (name, act) => this.canvas.addEventListener(name, act);
    on("pointermove", (event) => this.move(placeUnder(this.areas, event)));
    on("pointerleave", () => this.move(null));
    on("click", (event) => this.choose(placeUnder(this.areas, event)));
    on("keydown", (event) => this.press(event));
    on("focus", () => this.ring(this.canvas.matches(":focus-visible")));
    on("blur", () => { this.ring(false); this.move(null); });
  }

  get scene() { return this.model.get("scene"); }
  get frame() { return this.model.get("frame"); }
  get columns() { return Math.ceil(this.scene.steps / this.scene.cell); }
  get selected() { return this.asked === undefined ? this.frame.neuron : this.asked; }
  get areas() {
    const places = arrangeScene(this.scene, this.canvas.clientWidth);
    return this.frame.readout ? areasOf(this.scene, this.frame, places) : [];
  }

  confirm() {
    if (same(this.asked, this.frame.neuron)) this.asked = undefined;
    this.redraw();
  }

  ring(visible) {
    this.canvas.style.outline = visible ? `2px solid ${BLUE}` : "none";
  }

  move(place) {
    this.cursor = place;
    this.redraw();
  }

  choose(place) {
    const area = place && this.areas[place.area];
    if (!area && !this.selected) return;
    this.asked = area ? { layer: area.name, unit: area.units[place.row] } : null;
    this.model.send({ select: this.asked });
    this.redraw();
  }

  press(event) {
    const areas = this.areas, start = areas.length ? { area: 0, row: 0 } : null;
    if (event.key === "Escape") {
      this.move(null);
      this.choose(null);
    } else if (event.key === "Enter") this.choose((this.cursor ??= start));
    else if (event.key.startsWith("Arrow")) this.move(this.cursor ? moved(areas, this.cursor, event.key) : start);
    else return;
    this.ring(true);
    event.preventDefault();
    event.stopPropagation();
  }

  label() {
    const area = this.cursor && this.areas[this.cursor.area];
    const cursor = area ? ` Cursor: ${wordsOf(area, this.cursor.row, this.columns)}.` : "";
    const keys = "Arrow keys move over the neurons, Enter selects, Escape clears.";
    return `Spikes of one test sample: ${this.frame.summary ?? "not computed yet"}.${cursor} ${keys}`;
  }

  paint(pen, width) {
    const { scene, frame, columns, selected, cursor } = this, places = arrangeScene(scene, width);
    drawSample(pen, scene, frame.prediction);
    if (scene.input) drawInput(pen, scene, places.rows.input, columns);
    if (!frame.readout) return;
    const areas = areasOf(scene, frame, places);
    for (const area of areas) if (area.drawn) drawLayer(pen, scene, area, columns);
    drawReadout(pen, scene, frame, places);
    drawTime(pen, scene, places.rows.readout);
    if (scene.readout) drawNeuron(pen, scene, frame.neuron, places.rows.neuron, width, columns);
    const row = (area) => (selected && selected.layer === area.name ? area.units.indexOf(selected.unit) : -1);
    for (const area of areas) if (row(area) >= 0) drawChoice(pen, area, row(area), BLUE);
    if (cursor && areas[cursor.area]) drawCursor(pen, areas[cursor.area], cursor.row, columns);
  }

}

export default {
  render({ model, el }) {
    const view = new View(model, el), redraw = () => view.redraw(), confirm = () => view.confirm();
    model.on("change:scene", redraw);
    model.on("change:frame", confirm);
    return () => {
      view.stop();
      model.off("change:scene", redraw);
      model.off("change:frame", confirm);
    };
  },
};
