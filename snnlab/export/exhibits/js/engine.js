// Plays a network in float32, layer by layer, in the order in which snnlab's CPU kernels add and multiply.
import { fused, sigmoid, tanh, times } from "./exact.js";

/** @typedef {import("./exhibit").Layer} Layer @typedef {import("./exhibit").Rows} Rows @typedef {import("./exhibit").Played} Played */
/** @typedef {import("./exhibit").Trains} Trains @typedef {import("./exhibit").Signal} Signal @typedef {import("./exhibit").Net} Net */

const NEVER = 1e9; // steps since the last spike of a neuron that has not fired yet

/**
 * The spikes by step: those of step `t` are `units[starts[t]]` to `units[starts[t + 1] - 1]`, in the order given.
 * @param {ArrayLike<number>} when steps @param {ArrayLike<number>} who units @param {number} steps @param {number} width number of units
 * @returns {Trains}
 */
export function sorted(when, who, steps, width) {
  const starts = new Int32Array(steps + 1), there = (/** @type {number} */ k) => when[k] >= 0 && when[k] < steps && who[k] >= 0 && who[k] < width;
  for (let k = 0; k < when.length; k++) if (there(k)) starts[when[k] + 1]++;
  for (let t = 0; t < steps; t++) starts[t + 1] += starts[t];
  const next = starts.slice(), units = new Int32Array(starts[steps]);
  for (let k = 0; k < when.length; k++) if (there(k)) units[next[when[k]]++] = who[k];
  return { starts, units };
}

/** The trains of a raster, row = time. @param {Uint8Array} spikes @param {number} width @returns {Trains} */
function trainsOf(spikes, width) {
  const when = [], who = [];
  for (let k = 0; k < spikes.length; k++) if (spikes[k]) (when.push(Math.floor(k / width)), who.push(k % width));
  return sorted(when, who, spikes.length / width, width);
}

/** Add the weights of what arrives at one step to `x`. @param {Float32Array} x @param {Layer} layer @param {Signal} signal @param {number} t */
function arrive(x, { weights, units, bias }, { trains, values, width }, t) {
  if (trains) {
    x.set(bias);
    for (let e = trains.starts[t]; e < trains.starts[t + 1]; e++)
      for (let n = 0, k = trains.units[e] * units; n < units; n++, k++) x[n] += weights[k];
    return;
  }
  x.fill(0);
  for (let u = 0; values && u < width; u++) {
    const value = values[t * width + u];
    for (let n = 0, k = u * units; value && n < units; n++, k++) x[n] = fused(value, weights[k], x[n]);
  }
  for (let n = 0; n < units; n++) x[n] += bias[n];
}

/**
 * The current of a layer at each step: what arrives, behind a synapse that rises if it has one.
 * @param {Layer} layer @param {Signal} signal @param {number} steps
 */
function arriving(layer, signal, steps) {
  const { units, delay, rows } = layer, x = new Float32Array(units), h = new Float32Array(units), c = new Float32Array(units);
  return (/** @type {number} */ t) => {
    if (t < delay || t >= steps) x.set(layer.bias);
    else arrive(x, layer, signal, t - delay);
    if (!rows.a_rise) return x;
    for (let n = 0; n < units; n++) {
      h[n] = fused(h[n], rows.a_rise[n], x[n]);
      c[n] = fused(c[n], rows.a_decay[n], h[n]);
      x[n] = times(rows.share[n], c[n]);
    }
    return x;
  };
}

/**
 * Leaky integrate-and-fire neurons, see `snnlab/kernels/cpu/lif_step.py`.
 * @param {Layer} layer @param {Signal} signal @param {number} steps @param {Uint8Array} [dropped] neurons that are silent
 * @returns {Played}
 */
function lif(layer, signal, steps, dropped) {
  const { units, recurrent, value_reset: toValue, adapts, rows } = layer, { a_syn, a, gain, v_th, v_reset, hold, rho, beta } = rows;
  const spikes = new Uint8Array(steps * units), voltages = new Float32Array(steps * units);
  const v = new Float32Array(units), g = new Float32Array(units), b = new Float32Array(units), age = new Float32Array(units).fill(NEVER);
  const thresholds = adapts ? new Float32Array(steps * units) : null;
  const gap = v_th.map((value, n) => value - v_reset[n]), holds = hold.some((steps) => steps >= 1), next = arriving(layer, signal, steps);
  for (let t = 0; t < steps; t++) {
    const x = next(t), row = t * units;
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

/** Linear neurons, see `snnlab/kernels/cpu/filter.py`. @param {Layer} layer @param {Signal} signal @param {number} steps @returns {Played} */
function leaky(layer, signal, steps) {
  const { units, rows: { a_syn, a, rest } } = layer, values = new Float32Array(steps * units);
  const v = new Float32Array(units), g = new Float32Array(units), next = arriving(layer, signal, steps);
  for (let t = 0; t < steps; t++) {
    const x = next(t);
    for (let n = 0; n < units; n++) {
      g[n] = fused(g[n], a_syn[n], x[n]);
      v[n] = fused(v[n], a[n], g[n]);
      values[t * units + n] = v[n] + rest[n];
    }
  }
  return { spikes: null, values, thresholds: null };
}

/** See `snnlab/kernels/cpu/lstm.py`. @param {Layer} layer @param {Signal} signal @param {number} steps @param {Uint8Array} [dropped] @returns {Played} */
function lstm({ units, weights, recurrent, bias }, { values, width }, steps, dropped) {
  const out = new Float32Array(steps * units), drive = new Float32Array(4 * units), c = new Float32Array(units), h = new Float32Array(units);
  /** @param {number} value @param {Float32Array} from @param {number} row */
  const add = (value, from, row) => {
    for (let n = 0, k = row * 4 * units; value && n < 4 * units; n++, k++) drive[n] = fused(value, from[k], drive[n]);
  };
  for (let t = 0; t < steps; t++) {
    drive.set(bias);
    for (let k = 0; values && k < width; k++) add(values[t * width + k], weights, k);
    for (let k = 0; recurrent && k < units; k++) add(h[k], recurrent, k);
    for (let n = 0; n < units; n++) {
      const [i, f, g, o] = [sigmoid(drive[n]), sigmoid(drive[units + n]), tanh(drive[2 * units + n]), sigmoid(drive[3 * units + n])];
      c[n] = fused(i, g, times(f, c[n])); // which of the two products is rounded, LLVM decides
      out[t * units + n] = h[n] = dropped?.[n] ? 0 : times(o, tanh(c[n]));
    }
  }
  return { spikes: null, values: out, thresholds: null };
}

/** @param {Layer} layer @param {Signal} signal @param {number} steps @returns {Played} */
function linear(layer, signal, steps) {
  const { units } = layer, values = new Float32Array(steps * units), x = new Float32Array(units);
  for (let t = 0; t < steps; t++) {
    arrive(x, layer, signal, t);
    values.set(x, t * units);
  }
  return { spikes: null, values, thresholds: null };
}

const PLAYERS = { lif, leaky, lstm, linear };

/**
 * Play a signal through all layers.
 * @param {Net} net @param {Signal} signal @param {(Uint8Array | undefined)[]} [dropped] silent neurons of each layer
 * @returns {Played[]}
 */
export function play({ layers, steps }, signal, dropped = []) {
  return layers.map((layer, k) => {
    const played = PLAYERS[layer.kind](layer, signal, steps, dropped[k]), { spikes, values } = played, width = layer.units;
    signal = spikes ? { trains: trainsOf(spikes, width), values: null, width } : { trains: null, values, width };
    return played;
  });
}

/**
 * What the network says after each step: the scores of the classes so far, and the class that leads; -1 before anything differs.
 * @param {Float32Array} readout @param {number} classes @param {string} rule "mean", "sum", "max" or "last" @param {number} [length] steps that count
 */
export function decisions(readout, classes, rule, length = readout.length / classes) {
  const steps = readout.length / classes, scores = new Float64Array(readout.length), leads = new Int16Array(steps);
  const now = new Float64Array(classes).fill(rule === "max" ? -Infinity : 0);
  for (let t = 0; t < steps; t++) {
    for (let k = 0; k < classes && t < length; k++) {
      const value = readout[t * classes + k];
      now[k] = rule === "last" ? value : rule === "max" ? Math.max(now[k], value) : now[k] + value;
    }
    for (let k = 0; k < classes; k++) scores[t * classes + k] = rule === "mean" ? now[k] / Math.min(t + 1, length) : now[k];
    const best = now.reduce((most, value, k) => (value > now[most] ? k : most), 0);
    leads[t] = now.every((value) => value === now[0]) ? -1 : best;
  }
  return { scores, leads };
}
