// The page: a network that plays, that can be changed, and that says whether it is still what Python computes.
import { board } from "./board.js";
import { check, sealed, verdict, words } from "./checks.js";
import { h, write } from "./dom.js";
import { decisions, play } from "./engine.js";
import { counted, readable } from "./numbers.js";
import { ownInput, paper } from "./paper.js";
import { Player } from "./player.js";
import { givenBy, moved, netOf, signalOf } from "./stored.js";
import { areasOf, paintConfusion, paintRaster, paintScores, paintVoltage, paintWeights } from "./views.js";

/** @typedef {import("./exhibit").Exhibit} Exhibit @typedef {import("./exhibit").Given} Given @typedef {import("./exhibit").View} View */

const data = /** @type {Exhibit} */ (JSON.parse(/** @type {HTMLElement} */ (document.getElementById("data")).textContent ?? ""));
const trained = netOf(data), { samples, classes, sliders, steps } = data, hidden = trained.layers.length - 1;
const spiking = trained.layers.some(({ kind }) => kind === "lif");

// ---- what the visitor has chosen ----

let stops = sliders.map(({ home }) => home), sample = 0, own = false, silent = 0, lost = 0;
/** @type {Given} */ let given = givenBy(samples[0]);
/** @type {View} */ const view = /** @type {any} */ ({ data, at: steps, picked: { layer: 0, unit: 0 } });
const player = new Player(() => steps);

/** Neurons that are left out: the same ones each time, more with a larger share. @param {number} layer */
const dropped = (layer) => Uint8Array.from({ length: trained.layers[layer].units }, (_, n) => +(((n * 2654435761 + layer * 40503) % 2 ** 32) / 2 ** 32 < silent));
const masks = () => (silent ? trained.layers.map((_, k) => (k < hidden ? dropped(k) : undefined)) : []);

function compute() {
  view.net = moved(trained, data, stops);
  view.signal = signalOf(data, given, lost);
  view.played = play(view.net, view.signal, masks());
  view.decided = decisions(view.played[hidden].values, classes.length, data.rule, own ? steps : samples[sample].length ?? steps);
  view.label = own ? null : samples[sample].label;
  show();
  promise();
  survey();
}

// ---- panels ----

/** @param {string} name @param {string} title @param {...(Node | string)} inside */
const panel = (name, title, ...inside) => h("section", { class: `panel ${name}`, "aria-label": title }, h("h2", {}, title), ...inside);
const fillers = Object.fromEntries(["raster", "scores", "voltage", "weights", "confusion", "paper"].map((name) => [name, h("div", { class: `fill ${name}` })]));

const pad = paper(fillers.paper, data, (now) => {
  given = now;
  own = true;
  compute();
});
const raster = board(fillers.raster, (pen, w, height) => paintRaster(pen, view, w, height), () => `Spikes of all layers over time. ${said()}`, "application");
const boards = [
  raster, board(fillers.scores, (pen, w, height) => paintScores(pen, view, w, height), () => `Scores of the classes. ${said()}`),
  board(fillers.voltage, (pen, w, height) => paintVoltage(pen, view, w, height), () => `Over time: ${neuron()}`),
  board(fillers.weights, (pen, w, height) => paintWeights(pen, view, w, height), () => `Weights to ${neuron()}`),
];
let counts = classes.map(() => classes.map(() => 0));
const confusion = board(fillers.confusion, (pen, w, height) => paintConfusion(pen, counts, classes, w, height), () => right());

const verdictLine = h("p", { class: "said", role: "status" }), moment = h("output"), chosen = h("span", { class: "hint" });
const certificate = h("p", { class: "certificate", role: "status" }, "Checking the samples against Python\u2026"), hold = h("p", { class: "hint" });
const diagnosis = h("ul", { class: "notes" }), trouble = h("p", { class: "hint", role: "alert" });

function said() {
  const leads = view.at ? view.decided.leads[view.at - 1] : -1, says = leads < 0 ? "nothing yet" : classes[leads];
  const what = own ? "Your own input" : `Sample ${sample + 1} of ${samples.length}, true class ${classes[samples[sample].label]}`;
  return `${what}: the network says ${says}.`;
}
function neuron() {
  const { layer, unit } = view.picked, { name, units } = trained.layers[layer], spikes = view.played[layer].spikes;
  const count = spikes?.reduce((sum, spike, k) => sum + (k % units === unit ? spike : 0), 0);
  const fired = count === undefined ? "" : `, ${counted(count, "spike")}`;
  return layer === hidden ? `${name}: ${classes[unit]}` : `${name}, neuron ${unit}${fired}`;
}

/** Write and draw what depends on time and on what is picked. */
function show() {
  write(verdictLine, said());
  write(moment, `${readable(view.at * data.dt)} of ${readable(steps * data.dt)} ${data.unit}`);
  write(chosen, neuron());
  time.value = String(view.at);
  time.style.setProperty("--full", `${(100 * view.at) / steps}%`);
  for (const { redraw } of boards) redraw();
}

// ---- time ----

const playing = h("button", { class: "primary", onclick: () => player.toggle() }, "\u25b6 Play");
const time = h("input", { type: "range", min: 0, max: steps, value: steps, "aria-label": "Time", oninput: () => player.seek(+time.value) });
player.watch(() => {
  view.at = player.column ?? steps;
  write(playing, player.playing ? "\u275a\u275a Pause" : "\u25b6 Play");
  show();
});
/** @param {number} by */
const step = (by) => player.seek((player.column ?? (by > 0 ? 0 : steps)) + by);
const transport = h("div", { class: "row" }, playing,
  h("button", { onclick: () => step(-1), title: "One step back" }, "\u2212 step"), h("button", { onclick: () => step(1), title: "One step on" }, "+ step"), time, moment);

// ---- samples, drawings, files ----

/** @param {number} to */
function choose(to) {
  sample = (to + samples.length) % samples.length;
  given = givenBy(samples[sample]);
  own = false;
  pad.see(given, samples[sample].picture);
  list.value = String(sample);
  trouble.textContent = "";
  compute();
}
const options = samples.map(({ label }, k) => h("option", { value: k }, `${k + 1}: ${classes[label]}`));
const list = h("select", { "aria-label": "Sample", onchange: () => choose(+list.value) }, ...options);
const file = h("input", { type: "file", hidden: true, accept: "image/*,.csv,.txt", onchange: async () => {
  const taken = file.files?.[0];
  file.value = "";
  if (!taken) return;
  try {
    const { left, ...read } = await ownInput(data, taken);
    given = read;
    own = true;
    trouble.textContent = left ?? "";
    pad.see(given);
    compute();
  } catch (error) {
    trouble.textContent = `${/** @type {Error} */ (error).message}`;
  }
} });
const input = panel("input", "Input", fillers.paper,
  h("div", { class: "buttons" }, h("button", { onclick: () => choose(sample - 1), title: "Previous sample" }, "\u2190"), list,
    h("button", { onclick: () => choose(sample + 1), title: "Next sample" }, "\u2192")),
  h("div", { class: "buttons" }, ...(pad.mayDraw ? [h("button", { onclick: pad.clear }, "Clear"), h("button", { onclick: pad.centre }, "Centre")] : []),
    ...(data.input.kind === "none" ? [] : [h("button", { onclick: () => file.click() }, "Your own file\u2026"), file])),
  h("p", { class: "hint" }, pad.mayDraw ? "Draw with mouse, finger or arrow keys." : ""), trouble, verdictLine);

// ---- sliders ----

/**
 * @param {string} name @param {string} title @param {number} last @param {() => number} now @param {(value: number) => void} move
 * @param {() => string} shown @param {number} home
 */
function slider(name, title, last, now, move, shown, home) {
  const value = h("output"), range = h("input", { type: "range", min: 0, max: last, value: now(), "aria-label": title, oninput: () => act(+range.value) });
  const back = h("button", { class: "quiet back", title: `${title} as trained`, "aria-label": `${title} as trained`, onclick: () => act(home) }, "\u21ba");
  const row = h("div", { class: "knob" }, h("span", { class: "name", title }, name), range, value, back);
  function act(/** @type {number} */ to) {
    move(to);
    compute();
    tell();
  }
  function tell() {
    range.value = String(now());
    range.style.setProperty("--full", `${(100 * now()) / last}%`);
    write(value, shown());
    row.classList.toggle("moved", now() !== home);
  }
  return { row, tell };
}
const knobs = sliders.map(({ name, label, unit, values, home }, k) => {
  const move = (/** @type {number} */ to) => { stops = stops.map((stop, j) => (j === k ? to : stop)); };
  return slider(name, label, values.length - 1, () => stops[k], move, () => `${readable(values[stops[k]])} ${unit}`, home);
});
const ofHundred = (/** @type {number} */ share) => Math.round(100 * share);
const drops = [
  slider("neurons", "Share of the hidden neurons that are silent", 100, () => ofHundred(silent), (to) => { silent = to / 100; }, () => `${ofHundred(silent)} %`, 0),
  slider("input", "Share of the input that is lost", 100, () => ofHundred(lost), (to) => { lost = to / 100; }, () => `${ofHundred(lost)} %`, 0),
];
const asTrained = h("button", { onclick: () => {
  stops = sliders.map(({ home }) => home);
  silent = lost = 0;
  compute();
  for (const { tell } of [...knobs, ...drops]) tell();
} }, "As trained");
const groups = trained.layers.map(({ name }, layer) => [name, knobs.filter((_, k) => sliders[k].layer === layer)]);
const grouped = /** @type {[string, typeof knobs][]} */ ([...groups, ["left out", drops]]).filter(([, rows]) => rows.length);
const constants = panel("constants", "Constants", h("div", { class: "knobs" }, ...grouped.flatMap(([name, rows]) => [h("h3", {}, name), ...rows.map(({ row }) => row)])),
  h("div", { class: "buttons" }, asTrained), hold);

/** What is certified of what is seen, and what is not. */
function promise() {
  const away = sliders.filter((_, k) => stops[k] !== sliders[k].home).map(({ label }) => label);
  const changed = [...away, ...(silent ? ["neurons"] : []), ...(lost ? ["input"] : [])];
  asTrained.disabled = !changed.length;
  const steady = sliders.length || !spiking ? "" : " Its constants are one per neuron, and have no slider.";
  write(hold, changed.length
    ? `Moved: ${changed.join(", ")}. The page computes with the constants that Python has at these values; checksums exist for the trained ones only.`
    : own ? "Your own input: coded by the network's own table, but no checksum exists for it." : `As trained.${steady}`);
}

// ---- picking a neuron ----

/** @param {number} layer @param {number} unit */
function pick(layer, unit) {
  view.picked = { layer, unit: Math.min(Math.max(unit, 0), trained.layers[layer].units - 1) };
  show();
}
raster.canvas.tabIndex = 0;
raster.canvas.addEventListener("click", (event) => {
  const { left, top } = raster.canvas.getBoundingClientRect(), y = event.clientY - top, { clientWidth, clientHeight } = fillers.raster;
  const area = areasOf(view, clientWidth, clientHeight).find(({ place }) => y >= place.y && y < place.y + place.height);
  if (!area) return;
  const { place, layer, units, played } = area, unit = Math.floor(((y - place.y) * units) / place.height), near = Math.ceil((4 * units) / place.height);
  const t = Math.round(((event.clientX - left - place.x) * steps) / place.width);
  const fires = (/** @type {number} */ n) => [t - 1, t, t + 1, t - 2].some((when) => played?.spikes?.[when * units + n]);
  const rows = Array.from({ length: 2 * near + 1 }, (_, k) => unit + (k % 2 ? -1 : 1) * Math.ceil(k / 2)); // the nearest first
  const found = rows.find((n) => n >= 0 && n < units && fires(n));
  if (layer === hidden) pick(hidden, Math.max(view.at ? view.decided.leads[view.at - 1] : 0, 0));
  else if (layer >= 0) pick(layer, found ?? unit);
});
raster.canvas.addEventListener("keydown", (event) => {
  const { layer, unit } = view.picked, turn = { ArrowUp: -1, ArrowDown: 1 }[event.key], move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (player.press(event)) return;
  if (turn) pick(layer, unit + turn);
  else if (move) step(move);
  else if (event.key === "PageUp" || event.key === "PageDown") pick((layer + (event.key === "PageUp" ? hidden : 1)) % (hidden + 1), 0);
  else if (event.key === " ") player.toggle();
  else return;
  event.preventDefault();
});

// ---- all samples: the check when the page opens, and what a change does to them ----

let waiting = 0;
/** Play all samples as they are now, once the visitor pauses. */
function survey() {
  clearTimeout(waiting);
  waiting = window.setTimeout(() => {
    const found = classes.map(() => classes.map(() => 0)), fired = trained.layers.map(({ units }) => new Float64Array(units));
    for (const one of samples) {
      const layers = play(view.net, signalOf(data, givenBy(one), lost), masks());
      found[one.label][verdict(data, layers[hidden].values, one.length).answer]++;
      layers.forEach(({ spikes }, k) => spikes?.forEach((spike, at) => { fired[k][at % fired[k].length] += spike; }));
    }
    counts = found;
    confusion.redraw();
    diagnosis.replaceChildren(...diagnose(fired).map((line) => h("li", {}, line)));
  }, 150);
}
function right() {
  const good = counts.reduce((sum, row, k) => sum + row[k], 0);
  return `${good} of ${samples.length} samples right; as trained ${samples.filter(({ label, answer }) => label === answer).length}.`;
}
/** @param {Float64Array[]} fired spikes of each neuron in all samples */
function diagnose(fired) {
  const lines = [right()], seconds = (samples.length * steps * data.dt) / 1000;
  trained.layers.forEach(({ name, kind, units }, k) => {
    if (kind !== "lif") return;
    const all = fired[k].reduce((sum, count) => sum + count, 0), dead = fired[k].filter((count) => !count).length;
    const often = fired[k].filter((count) => count > 0.5 * samples.length * steps).length;
    if (!all) return void lines.push(`${name}: no neuron fires. Lower its v_th, or lengthen a time constant.`);
    lines.push(`${name}: ${readable(all / samples.length)} spikes a sample, ${readable(all / units / seconds)} Hz a neuron.`);
    if (dead) lines.push(`${name}: ${counted(dead, "neuron")} of ${units} ${dead === 1 ? "fires" : "fire"} in none of these samples.`);
    if (often) lines.push(`${name}: ${counted(often, "neuron")} fire at more than half of all steps, and so say little. Raise v_th.`);
  });
  return lines;
}

/** One sample after the other, so that the page answers meanwhile. @param {number} k @param {boolean[]} same */
function checkFrom(k, same) {
  if (k < samples.length) {
    same.push(check(data, trained, k).same);
    return void setTimeout(() => checkFrom(k + 1, same));
  }
  const whole = sealed(data), good = whole && same.every(Boolean);
  write(certificate, words(data, same, whole));
  certificate.classList.toggle("good", good);
  certificate.classList.toggle("bad", !good);
  Object.assign(document.body.dataset, { good: same.filter(Boolean).length, checked: same.length, whole });
}

// ---- the page ----

const facts = h("dl", {}, ...data.facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
const how = data.exact
  ? "It compares every spike and every readout with the checksum of Python's."
  : `It compares ${spiking ? "every spike by its checksum" : data.outputs ? "every output of the LSTM by its checksum" : "the class"}, and the scores, which may `
    + `differ by ${readable(data.bound, 2)} at most: Python adds them up in another order.`;
const about = panel("about", "What this is",
  h("p", {}, `A trained network, alive in one file. The page computes in float32, in the order in which Python adds and multiplies, with Python's own constants. ${how}`),
  h("p", {}, "It loads nothing, sends nothing, stores nothing, and needs no Python."),
  h("p", { class: "hint" }, "Click a neuron in the raster, or use its keys: up and down for the neuron, Page Up and Page Down for the layer, "
    + "left and right for time, Space plays."), facts);

document.body.append(h("main", { class: "screen" },
  h("header", {}, h("h1", {}, data.title), certificate, ...data.words.map((line) => h("p", { class: "warning" }, line))), transport,
  h("div", { class: "body" },
    h("div", { class: "left" }, input, constants), panel("middle", spiking ? "Spikes over time" : "Activity over time", fillers.raster),
    h("div", { class: "right" }, panel("decision", "Decision", fillers.scores), panel("neuron", "Neuron", chosen, fillers.voltage, fillers.weights))),
  h("div", { class: "under" }, panel("table", "These samples", fillers.confusion, diagnosis), about)));

for (const { tell } of [...knobs, ...drops]) tell();
/** The neuron that fires most in the first sample is the first that is looked at. */
choose(0);
const most = view.played[0].spikes, sums = new Float64Array(trained.layers[0].units);
most?.forEach((spike, k) => { sums[k % sums.length] += spike; });
pick(0, sums.indexOf(Math.max(...sums)));
setTimeout(() => checkFrom(0, []), 30);
