// The page: a network that plays, that can be changed, and that says whether it is still what Python computes.
import { board } from "./board.js";
import { check, sealed, verdict, words } from "./checks.js";
import { codeOf, signalOf } from "./coding.js";
import { h, write } from "./dom.js";
import { decisions, play } from "./engine.js";
import { counted, readable } from "./numbers.js";
import { ownInput, paper } from "./paper.js";
import { Player } from "./player.js";
import { givenBy, moved, netOf } from "./stored.js";
import { areasOf, paintConfusion, paintRaster, paintScores, paintVoltage, paintWeights } from "./views.js";

/** @typedef {import("./exhibit").Exhibit} Exhibit @typedef {import("./exhibit").Given} Given @typedef {import("./exhibit").View} View */
/** @typedef {import("./exhibit").Sample} Sample @typedef {import("./exhibit").Played} Played */
/** @typedef {import("./types").Pen} Pen */

/** What an element of the page carries. @param {string} id */
const carried = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "");
const data = /** @type {Exhibit} */ ({ ...carried("data"), ...carried("more") });
const trained = netOf(data), { samples, classes, sliders, steps } = data, hidden = trained.layers.length - 1;
const spiking = trained.layers.some(({ kind }) => kind === "lif");

// ---- what the visitor has chosen ----

const home = sliders.map((slider) => slider.home);
let stops = home, sample = 0, own = false, silent = 0, lost = 0;
/** @type {(Uint8Array | undefined)[]} */ let masks = [];
/** @type {Given} */ let given = givenBy(data, 0);
let code = codeOf(data);
/** @type {View} */ const view = /** @type {any} */ ({ data, at: steps, picked: { layer: 0, unit: 0 } });
const player = new Player(() => steps);

/** Neurons that are left out: the same ones each time, more with a larger share. @param {number} layer */
const dropped = (layer) => Uint8Array.from({ length: trained.layers[layer].units }, (_, n) =>
  +(((n * 2654435761 + layer * 40503) % 2 ** 32) / 2 ** 32 < silent));

/** Compute what follows from an input, or from a constant of the code. */
function hear() {
  view.signal = signalOf(data, given, lost, code);
  view.label = own ? null : samples[sample].label;
  compute();
}

/** Compute what follows from a constant: the layers from the one on that it belongs to. */
function compute() {
  view.net = moved(trained, data, stops, view.net);
  view.played = play(view.net, view.signal, masks, view.played);
  const length = own ? steps : samples[sample].length ?? steps;
  view.decided = decisions(view.played[hidden].values, classes.length, data.rule, length);
  show();
  promise();
}

// ---- panels ----

/** @param {string} name @param {string} title @param {...(Node | string)} inside */
const panel = (name, title, ...inside) =>
  h("section", { class: `panel ${name}`, "aria-label": title }, h("h2", {}, title), ...inside);
const names = ["raster", "scores", "voltage", "weights", "confusion", "paper"];
const fillers = Object.fromEntries(names.map((name) => [name, h("div", { class: `fill ${name}` })]));

const pad = paper(fillers.paper, data, (now) => {
  given = now;
  own = true;
  hear();
});
/**
 * @param {string} name @param {(pen: Pen, view: View, width: number, height: number) => void} paint
 * @param {() => string} label @param {string} [role]
 */
const viewOf = (name, paint, label, role) =>
  board(fillers[name], (pen, width, height) => paint(pen, view, width, height), label, role);
const raster = viewOf("raster", paintRaster, () => `Spikes of all layers over time. ${said()}`, "application");
const scores = viewOf("scores", paintScores, () => `Scores of the classes. ${said()}`);
const voltage = viewOf("voltage", paintVoltage, () => `Over time: ${neuron()}`);
const weights = viewOf("weights", paintWeights, () => `Weights to ${nameOf()}`);
let counts = classes.map(() => classes.map(() => 0));
const cells = Math.min(320, 36 + 30 * classes.length); // pixels
Object.assign(fillers.confusion.style, { height: `${cells}px`, flexBasis: `${Math.min(320, cells + 90)}px` });
const confusion = viewOf("confusion", (pen, _, width, height) => paintConfusion(pen, counts, classes, width, height), () => right());

const verdictLine = h("p", { class: "said", role: "status" }), moment = h("output"), chosen = h("span", { class: "hint" });
const certificate = h("p", { class: "certificate", role: "status" }, "Checking the samples against Python\u2026");
addEventListener("error", ({ message }) => {
  write(certificate, `NOT CHECKED, this page fails in your browser: ${message}`);
  certificate.classList.add("bad");
});
const hold = h("p", { class: "hint" }), diagnosis = h("ul", { class: "notes" }), trouble = h("p", { class: "hint", role: "alert" });

function said() {
  const leads = view.at ? view.decided.leads[view.at - 1] : -1, says = leads < 0 ? "nothing yet" : classes[leads];
  const what = own ? "Your own input" : `Sample ${sample + 1} of ${samples.length}, true class ${classes[samples[sample].label]}`;
  return `${what}: the network says ${says}.`;
}
function nameOf() {
  const { layer, unit } = view.picked, { name } = trained.layers[layer];
  return layer === hidden ? `${name}: ${classes[unit]}` : `${name}, neuron ${unit}`;
}
function neuron() {
  const { layer, unit } = view.picked, { trains } = view.played[layer].next;
  return nameOf() + (trains ? `, ${counted(trains.units.filter((n) => n === unit).length, "spike")}` : "");
}

/** Write and draw what depends on time and constants. */
function show() {
  write(verdictLine, said());
  write(chosen, neuron());
  for (const { redraw } of [raster, scores, voltage]) redraw();
}

// ---- time ----

const playing = h("button", { class: "primary", onclick: () => player.toggle() }, "\u25b6 Play");
const time = h("input", {
  type: "range", min: 0, max: steps, value: steps, "aria-label": "Time", oninput: () => player.seek(+time.value),
});
function tellTime() {
  view.at = player.column ?? steps;
  write(playing, player.playing ? "\u275a\u275a Pause" : "\u25b6 Play");
  write(moment, `${readable(view.at * data.dt)} of ${readable(steps * data.dt)} ${data.unit}`);
  time.value = String(view.at);
  time.style.setProperty("--full", `${(100 * view.at) / steps}%`);
}
player.watch(() => {
  tellTime();
  show();
});
/** @param {number} by */
const step = (by) => player.seek((player.column ?? (by > 0 ? 0 : steps)) + by);
const transport = h("div", { class: "row" }, playing,
  h("button", { onclick: () => step(-1), title: "One step back" }, "\u2212 step"),
  h("button", { onclick: () => step(1), title: "One step on" }, "+ step"), time, moment);

// ---- samples, drawings, files ----

/** @param {number} to */
function choose(to) {
  sample = (to + samples.length) % samples.length;
  given = givenBy(data, sample);
  own = false;
  pad.see(given, samples[sample].picture);
  list.value = String(sample);
  trouble.textContent = "";
  hear();
}
const options = samples.map(({ label }, k) => h("option", { value: k }, `${k + 1}: ${classes[label]}`));
const list = h("select", { "aria-label": "Sample", onchange: () => choose(+list.value) }, ...options);
async function openFile() {
  const taken = file.files?.[0];
  file.value = "";
  if (!taken) return;
  try {
    const { left, ...read } = await ownInput(data, taken);
    given = read;
    own = true;
    trouble.textContent = left ?? "";
    pad.see(given);
    hear();
  } catch (error) {
    trouble.textContent = `${/** @type {Error} */ (error).message}`;
  }
}
const file = h("input", { type: "file", hidden: true, accept: "image/*,.csv,.txt", onchange: openFile });
const drawing = [h("button", { onclick: pad.clear }, "Clear"), h("button", { onclick: pad.centre }, "Centre")];
const opening = [h("button", { onclick: () => file.click() }, "Your own file\u2026"), file];
const input = panel("input", "Input", fillers.paper,
  h("div", { class: "buttons" },
    h("button", { onclick: () => choose(sample - 1), title: "Previous sample" }, "\u2190"), list,
    h("button", { onclick: () => choose(sample + 1), title: "Next sample" }, "\u2192")),
  h("div", { class: "buttons" }, ...(pad.mayDraw ? drawing : []), ...(data.input.kind === "none" ? [] : opening)),
  h("p", { class: "hint" }, pad.mayDraw ? "Draw with mouse, finger or arrow keys." : ""), trouble, verdictLine);

// ---- sliders ----

/**
 * @param {string} name @param {string} title @param {number} last @param {number} start where it is as trained
 * @param {() => number} now @param {(value: number) => void} move @param {() => string} shown
 */
function slider(name, title, last, start, now, move, shown) {
  const value = h("output"), act = (/** @type {number} */ to) => {
    move(to);
    tell();
    survey();
  };
  const range = h("input", {
    type: "range", min: 0, max: last, value: now(), "aria-label": title, oninput: () => act(+range.value),
  });
  const words = `${title} as trained`;
  const back = h("button", { class: "quiet back", title: words, "aria-label": words, onclick: () => act(start) }, "\u21ba");
  const row = h("div", { class: "knob" }, h("span", { class: "name", title }, name), range, value, back);
  function tell() {
    range.value = String(now());
    range.style.setProperty("--full", `${(100 * now()) / last}%`);
    write(value, shown());
    row.classList.toggle("moved", now() !== start);
  }
  return { row, tell };
}
/** Move the slider `k` of a constant. @param {number} k @param {number} to */
function set(k, to) {
  stops = stops.map((stop, j) => (j === k ? to : stop));
  if (sliders[k].layer >= 0) return compute();
  code = codeOf(data, stops);
  hear();
}
const knobs = sliders.map(({ name, label, unit, values, own: range }, k) => {
  const each = range && `: one value per neuron, ${readable(range[0])} to ${readable(range[1])} ${unit}; moved, all get one`;
  const shown = () => (range && stops[k] === home[k] ? "own" : `${readable(values[stops[k]])} ${unit}`);
  return slider(name, label + (each ?? ""), values.length - 1, home[k], () => stops[k], (to) => set(k, to), shown);
});
const ofHundred = (/** @type {number} */ share) => Math.round(100 * share);
/** @param {number} share */
function silence(share) {
  silent = share;
  masks = share ? trained.layers.map((_, k) => (k < hidden ? dropped(k) : undefined)) : [];
}
const drops = [
  slider("neurons", "Share of the hidden neurons that are silent", 100, 0, () => ofHundred(silent), (to) => {
    silence(to / 100);
    compute();
  }, () => `${ofHundred(silent)} %`),
  slider("input", "Share of the input that is lost", 100, 0, () => ofHundred(lost), (to) => {
    lost = to / 100;
    hear();
  }, () => `${ofHundred(lost)} %`),
];
const allKnobs = [...knobs, ...drops];
const asTrained = h("button", { onclick: () => {
  stops = home;
  lost = 0;
  silence(0);
  code = codeOf(data);
  hear();
  survey();
  for (const { tell } of allKnobs) tell();
} }, "As trained");
/** @param {string} name @param {typeof knobs} rows @param {string} [words] */
const group = (name, rows, words) => (rows.length || words
  ? [h("div", { class: "group" }, h("h3", {}, name), ...rows.map(({ row }) => row), words ? h("p", { class: "hint" }, words) : "")] : []);
const ofLayer = (/** @type {number} */ layer) => knobs.filter((_, k) => sliders[k].layer === layer);
const constants = panel("constants", "Constants",
  h("div", { class: "knobs" }, ...group("input code", ofLayer(-1), data.input.words),
    ...trained.layers.flatMap(({ name }, layer) => group(name, ofLayer(layer))), ...group("left out", drops)),
  h("div", { class: "buttons" }, asTrained), hold);

/** What differs from the trained network. */
const changed = () => [
  ...sliders.filter((_, k) => stops[k] !== home[k]).map(({ label }) => label),
  ...(silent ? ["neurons"] : []), ...(lost ? ["input"] : []),
];
/** What may differ from Python away from the checksums, if it adds up in another order. */
const unsure = data.exact ? "" : `, but Python adds up in another order, so ${spiking ? "single spikes" : "the last digits of scores"} may differ`;

/** What is certified of what is seen, and what is not. */
function promise() {
  const away = changed(), each = sliders.filter((slider) => slider.own).map(({ label }) => label);
  asTrained.disabled = !away.length;
  const steady = each.length ? ` One value per neuron: ${each.join(", ")}; a slider that is moved gives all the same.` : "";
  write(hold, away.length
    ? `Moved: ${away.join(", ")}. The page computes with the constants that Python has at these values${unsure}; `
      + "checksums exist for the trained ones only."
    : own ? `Your own input: coded as the network's own samples${unsure}; no checksum exists for it.` : `As trained.${steady}`);
}

// ---- picking a neuron ----

/** @param {number} layer @param {number} unit */
function pick(layer, unit) {
  view.picked = { layer, unit: Math.min(Math.max(unit, 0), trained.layers[layer].units - 1) };
  show();
  weights.redraw();
}
/** The neuron near a place that fires near a time, or else the one at this place. @param {MouseEvent} event */
function pickAt(event) {
  const { left, top, width, height } = raster.canvas.getBoundingClientRect(), y = event.clientY - top;
  const area = areasOf(view, width, height).find(({ place }) => y >= place.y && y < place.y + place.height);
  if (!area || area.layer < 0) return;
  const { place, layer, units, played } = area;
  if (layer === hidden) return pick(hidden, Math.max(view.at ? view.decided.leads[view.at - 1] : 0, 0));
  const unit = Math.floor(((y - place.y) * units) / place.height), near = Math.ceil((4 * units) / place.height);
  const t = Math.round(((event.clientX - left - place.x) * steps) / place.width);
  const fires = (/** @type {number} */ n) => [t - 1, t, t + 1, t - 2].some((when) => played?.spikes?.[when * units + n]);
  const rows = Array.from({ length: 2 * near + 1 }, (_, k) => unit + (k % 2 ? -1 : 1) * Math.ceil(k / 2)); // the nearest first
  pick(layer, rows.find((n) => n >= 0 && n < units && fires(n)) ?? unit);
}
raster.canvas.tabIndex = 0;
raster.canvas.addEventListener("click", pickAt);
raster.canvas.addEventListener("keydown", (event) => {
  const { layer, unit } = view.picked, { key } = event;
  const turn = { ArrowUp: -1, ArrowDown: 1 }[key], move = { ArrowLeft: -1, ArrowRight: 1 }[key];
  const page = { PageUp: hidden, PageDown: 1 }[key];
  if (player.press(event)) return;
  if (turn) pick(layer, unit + turn);
  else if (move) step(move);
  else if (page !== undefined) pick((layer + page) % (hidden + 1), 0);
  else if (key === " ") player.toggle();
  else return;
  event.preventDefault();
});

// ---- all samples: the check when the page opens, and what a change does to them ----

/** Counts what the network says of some samples, and the spikes of each neuron. */
function tally() {
  const found = classes.map(() => classes.map(() => 0)), fired = trained.layers.map(({ units }) => new Float64Array(units));
  return {
    /** @param {Sample} one @param {Played[]} layers */
    add({ label, length }, layers) {
      found[label][verdict(data, layers[hidden].values, length).answer]++;
      layers.forEach(({ next }, k) => next.trains?.units.forEach((n) => { fired[k][n]++; }));
    },
    tell() {
      counts = found;
      confusion.redraw();
      diagnosis.replaceChildren(...diagnose(fired).map((line) => h("li", {}, line)));
    },
  };
}

let waiting = 0;
/** Play all samples as they are now, once the visitor pauses, in pieces that delay no frame. */
function survey() {
  const found = tally();
  let k = 0;
  const piece = () => {
    const began = performance.now();
    while (k < samples.length && performance.now() - began < 6) {
      found.add(samples[k], play(view.net, signalOf(data, givenBy(data, k), lost, code), masks));
      k++;
    }
    if (k < samples.length) waiting = window.setTimeout(piece);
    else found.tell();
  };
  clearTimeout(waiting);
  waiting = window.setTimeout(piece, 150);
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

/**
 * One sample after the other, so that the page answers meanwhile.
 * @param {number} k @param {boolean[]} same @param {ReturnType<typeof tally>} found
 */
function checkFrom(k, same, found) {
  if (k < samples.length) {
    const one = check(data, trained, k);
    same.push(one.same);
    found.add(samples[k], one.layers);
    return void setTimeout(() => checkFrom(k + 1, same, found));
  }
  const whole = sealed(data), good = whole && same.every(Boolean);
  write(certificate, words(data, same, whole));
  certificate.classList.add(good ? "good" : "bad");
  if (!changed().length) found.tell();
  Object.assign(document.body.dataset, { good: same.filter(Boolean).length, checked: same.length, whole });
}

// ---- the page ----

const facts = h("dl", {}, ...data.facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
const compared = spiking ? "every spike by its checksum" : data.outputs ? "every output of the LSTM by its checksum" : "the class";
const how = data.exact
  ? "It compares every spike and every readout with the checksum of Python's."
  : `It compares ${compared}, and the scores, which may differ by ${readable(data.bound, 2)} at most: `
    + "Python adds them up in another order.";
const about = panel("about", "What this is",
  h("p", {}, "A trained network, alive in one file. The page computes in float32, in the order in which Python adds and "
    + `multiplies, with Python's own constants. ${how}`),
  h("p", {}, "It loads nothing, sends nothing, stores nothing, and needs no Python."),
  h("p", { class: "hint" }, "Click a neuron in the raster, or use its keys: up and down for the neuron, Page Up and Page Down "
    + "for the layer, left and right for time, Space plays."), facts);

document.body.append(h("main", { class: "screen" },
  h("header", {}, h("h1", {}, data.title), certificate, ...data.words.map((line) => h("p", { class: "warning" }, line))), transport,
  h("div", { class: "body" },
    h("div", { class: "left" }, input, constants),
    panel("middle", spiking ? "Spikes over time" : "Activity over time", fillers.raster),
    h("div", { class: "right" },
      panel("decision", "Decision", fillers.scores), panel("neuron", "Neuron", chosen, fillers.voltage, fillers.weights))),
  h("div", { class: "under" }, panel("table", "These samples", h("div", { class: "beside" }, fillers.confusion, diagnosis)), about)));

for (const { tell } of allKnobs) tell();
tellTime();
choose(0);
// The neuron that fires most in the first sample is the first that is looked at.
const sums = new Float64Array(trained.layers[0].units);
view.played[0].next.trains?.units.forEach((n) => { sums[n]++; });
pick(0, sums.indexOf(Math.max(...sums)));
// After the first picture.
requestAnimationFrame(() => setTimeout(() => checkFrom(0, [], tally())));
