// Plays a network in float32, layer by layer, in the order in which snnlab's CPU kernels add and multiply.
import { flushed, fused, sigmoid, tanh, times } from "./exact.js";

/** @typedef {import("./exhibit").Layer} Layer @typedef {import("./exhibit").Rows} Rows @typedef {import("./exhibit").Net} Net */
/** @typedef {import("./exhibit").Trains} Trains @typedef {import("./exhibit").Signal} Signal */
/** @typedef {import("./exhibit").Did} Did @typedef {import("./exhibit").Played} Played */

const NEVER = 1e9; // steps since the last spike of a neuron that has not fired yet

/**
 * The spikes by step: those of step `t` are `units[starts[t]]` to `units[starts[t + 1] - 1]`, in the order given.
 * @param {ArrayLike<number>} when steps @param {ArrayLike<number>} who units @param {number} steps
 * @param {number} width number of units
 * @returns {Trains}
 */
export function sorted(when, who, steps, width) {
  const starts = new Int32Array(steps + 1);
  const there = (/** @type {number} */ k) => when[k] >= 0 && when[k] < steps && who[k] >= 0 && who[k] < width;
  for (let k = 0; k < when.length; k++) if (there(k)) starts[when[k] + 1]++;
  for (let t = 0; t < steps; t++) starts[t + 1] += starts[t];
  const next = starts.slice(), units = new Int32Array(starts[steps]);
  for (let k = 0; k < when.length; k++) if (there(k)) units[next[when[k]]++] = who[k];
  return { starts, units };
}

/** The trains of a raster, row = time. @param {ArrayLike<number>} spikes @param {number} width @returns {Trains} */
export function trainsOf(spikes, width) {
  const steps = spikes.length / width, starts = new Int32Array(steps + 1), units = [];
  for (let t = 0, k = 0; t < steps; t++) {
    for (let n = 0; n < width; n++, k++) if (spikes[k]) units.push(n);
    starts[t + 1] = units.length;
  }
  return { starts, units: Int32Array.from(units) };
}

/**
 * Add the weights of what arrives at one step to `x`: numbers are multiplied and added, also if they are 0 and 1.
 * @param {Float32Array} x @param {Layer} layer @param {Signal} signal @param {number} t
 */
function arrive(x, { weights, units, bias }, { trains, values, width }, t) {
  if (trains && !values) {
    x.set(bias);
    for (let e = trains.starts[t]; e < trains.starts[t + 1]; e++)
      for (let n = 0, k = trains.units[e] * units; n < units; n++, k++) x[n] += weights[k];
    return;
  }
  x.fill(0);
  for (let u = 0; values && u < width; u++) {
    const value = values[t * width + u];
    for (let n = 0, k = u * units; value && n < units; n++, k++)
      x[n] = value === 1 ? flushed(Math.fround(weights[k] + x[n])) : fused(value, weights[k], x[n]); // the same, sooner
  }
  for (let n = 0; n < units; n++) x[n] += bias[n];
}

/** What arrives at a layer at each step, row = time. @param {Layer} layer @param {Signal} signal @param {number} steps */
function driveOf(layer, signal, steps) {
  const { units, delay } = layer, drive = new Float32Array(steps * units);
  for (let t = 0; t < steps; t++) {
    const x = drive.subarray(t * units, (t + 1) * units);
    if (t < delay) x.set(layer.bias);
    else arrive(x, layer, signal, t - delay);
  }
  return drive;
}

/** The same behind a synapse that rises, if the layer has one. @param {Layer} layer @param {Float32Array} drive */
function risen({ units, rows }, drive) {
  if (!rows.a_rise) return drive;
  const { a_rise, a_decay, share } = rows, h = new Float32Array(units), c = new Float32Array(units);
  return drive.map((x, k) => {
    const n = k % units;
    h[n] = fused(h[n], a_rise[n], x);
    c[n] = fused(c[n], a_decay[n], h[n]);
    return times(share[n], c[n]);
  });
}

/**
 * Leaky integrate-and-fire neurons, see `snnlab/kernels/cpu/lif_step.py`.
 * @param {Layer} layer @param {Float32Array} current @param {number} steps @param {Uint8Array} [dropped] neurons that are silent
 * @returns {Did}
 */
function lif(layer, current, steps, dropped) {
  const { units, recurrent, value_reset: toValue, adapts, rows } = layer;
  const { a_syn, a, gain, v_th, v_reset, hold, rho, beta } = rows;
  const spikes = new Uint8Array(steps * units), voltages = new Float32Array(steps * units), x = new Float32Array(units);
  const [v, g, b, age] = [0, 0, 0, NEVER].map((value) => new Float32Array(units).fill(value));
  const thresholds = adapts ? new Float32Array(steps * units) : null;
  const gap = v_th.map((value, n) => value - v_reset[n]), holds = hold.some((steps) => steps >= 1);
  for (let t = 0; t < steps; t++) {
    const row = t * units;
    for (let n = 0; n < units; n++) x[n] = current[row + n];
    for (let m = 0; recurrent && t && m < units; m++)
      for (let n = 0, k = m * units; spikes[row - units + m] && n < units; n++, k++) x[n] += recurrent[k];
    for (let n = 0; n < units; n++) {
      g[n] = fused(g[n], a_syn[n], x[n]);
      let u = fused(v[n], a[n], times(gain[n], g[n]));
      const threshold = adapts ? Math.fround(v_th[n] + b[n]) : v_th[n];
      if (holds && ++age[n] <= hold[n]) u = v[n];
      const fires = u >= threshold && !dropped?.[n];
      if (fires) {
        spikes[row + n] = 1;
        age[n] = 0;
        u = toValue ? v_reset[n] : u - gap[n];
      }
      if (thresholds) {
        thresholds[row + n] = threshold;
        b[n] = fused(b[n], rho[n], fires ? beta[n] : 0);
      }
      voltages[row + n] = v[n] = u;
    }
  }
  return { spikes, values: voltages, thresholds };
}

/**
 * Linear neurons, see `snnlab/kernels/cpu/filter.py`.
 * @param {Layer} layer @param {Float32Array} current @param {number} steps
 * @returns {Did}
 */
function leaky({ units, rows: { a_syn, a, rest } }, current, steps) {
  const values = new Float32Array(steps * units), v = new Float32Array(units), g = new Float32Array(units);
  for (let t = 0, k = 0; t < steps; t++) {
    for (let n = 0; n < units; n++, k++) {
      g[n] = fused(g[n], a_syn[n], current[k]);
      v[n] = fused(v[n], a[n], g[n]);
      values[k] = v[n] + rest[n];
    }
  }
  return { spikes: null, values, thresholds: null };
}

/**
 * See `snnlab/kernels/cpu/lstm.py`.
 * @param {Layer} layer @param {Signal} signal @param {number} steps @param {Uint8Array} [dropped]
 * @returns {Did}
 */
function lstm({ units, weights, recurrent, bias }, { values, width }, steps, dropped) {
  const out = new Float32Array(steps * units), drive = new Float32Array(4 * units);
  const c = new Float32Array(units), h = new Float32Array(units);
  /** @param {number} value @param {Float32Array} from @param {number} row */
  const add = (value, from, row) => {
    for (let n = 0, k = row * 4 * units; value && n < 4 * units; n++, k++) drive[n] = fused(value, from[k], drive[n]);
  };
  for (let t = 0; t < steps; t++) {
    drive.set(bias);
    for (let k = 0; values && k < width; k++) add(values[t * width + k], weights, k);
    for (let k = 0; recurrent && k < units; k++) add(h[k], recurrent, k);
    for (let n = 0; n < units; n++) {
      const [i, f, o] = [0, 1, 3].map((gate) => sigmoid(drive[gate * units + n])), g = tanh(drive[2 * units + n]);
      c[n] = fused(i, g, times(f, c[n])); // which of the two products is rounded, LLVM decides
      out[t * units + n] = h[n] = dropped?.[n] ? 0 : times(o, tanh(c[n]));
    }
  }
  return { spikes: null, values: out, thresholds: null };
}

/**
 * Play one layer, from what arrives at it: that is kept while only constants of its neurons move.
 * @param {Layer} layer @param {Signal} signal @param {number} steps @param {Uint8Array | undefined} dropped @param {Played} [before]
 * @returns {Played}
 */
function playLayer(layer, signal, steps, dropped, before) {
  const { kind, weights, units: width } = layer, alike = before?.signal === signal && before.layer.weights === weights;
  const drive = kind === "lstm" ? null : (alike && before.drive) || driveOf(layer, signal, steps);
  const did = !drive ? lstm(layer, signal, steps, dropped)
    : kind === "linear" ? { spikes: null, values: drive, thresholds: null }
      : (kind === "lif" ? lif : leaky)(layer, risen(layer, drive), steps, dropped);
  const { spikes, values } = did, trains = spikes && trainsOf(spikes, width);
  return { ...did, layer, signal, dropped, drive, next: { trains, values: trains ? null : values, width } };
}

/**
 * Play a signal through all layers. What neither a constant nor the signal has changed is taken from the last time.
 * @param {Net} net @param {Signal} signal @param {(Uint8Array | undefined)[]} [dropped] silent neurons of each layer
 * @param {Played[]} [before] what the layers did the last time
 * @returns {Played[]}
 */
export function play({ layers, steps }, signal, dropped = [], before = []) {
  return layers.map((layer, k) => {
    const last = before[k], same = last && last.layer === layer && last.signal === signal && last.dropped === dropped[k];
    const played = same ? last : playLayer(layer, signal, steps, dropped[k], last);
    signal = played.next;
    return played;
  });
}

/**
 * What the network says after each step: the scores of the classes so far, and the class that leads; -1 before anything differs.
 * @param {Float32Array} readout @param {number} classes @param {string} rule "mean", "sum", "max" or "last"
 * @param {number} [length] steps that count
 */
export function decisions(readout, classes, rule, length = readout.length / classes) {
  const steps = readout.length / classes, scores = new Float64Array(readout.length), leads = new Int16Array(steps);
  const now = new Float64Array(classes).fill(rule === "max" ? -Infinity : 0);
  for (let t = 0, row = 0; t < steps; t++, row += classes) {
    let best = 0, differ = false;
    const count = rule === "mean" ? Math.min(t + 1, length) : 1;
    for (let k = 0; k < classes; k++) {
      const value = readout[row + k];
      if (t < length) now[k] = rule === "last" ? value : rule === "max" ? Math.max(now[k], value) : now[k] + value;
      scores[row + k] = now[k] / count;
      if (now[k] > now[best]) best = k;
      differ ||= now[k] !== now[0];
    }
    leads[t] = differ ? best : -1;
  }
  return { scores, leads };
}
