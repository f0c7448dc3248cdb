// The shapes of what the modules of the exhibit hand to one another, for the type checker; nothing of this reaches the page.

/** A constant per neuron. */
export type Rows = Record<string, Float32Array>;
/** `table`: what each of the 256 bytes becomes, steps or numbers. `constant`: the chance of the rate code, the threshold of delta. */
export interface Code { table: Uint16Array | Float32Array; constant: number }
/** Spikes by step, see `sorted`. */
export interface Trains { starts: Int32Array; units: Int32Array }
/** What reaches a layer: spikes, or numbers, row = time; both if Python computes spikes as numbers. */
export interface Signal { trains: Trains | null; values: Float32Array | null; width: number }
export interface Layer {
  name: string; kind: "lif" | "leaky" | "lstm" | "linear"; inputs: number; units: number; delay: number;
  value_reset: boolean; adapts: boolean;
  weights: Float32Array; recurrent: Float32Array | null; bias: Float32Array; rows: Rows;
}
/** `stops` of the sliders, once they were moved. */
export interface Net { steps: number; layers: Layer[]; stops?: number[] }
/** What a layer did, row = time. */
export interface Did { spikes: Uint8Array | null; values: Float32Array; thresholds: Float32Array | null }
/** And of what; `drive`: what arrived at it, `next`: what it sends. */
export interface Played extends Did {
  layer: Layer; signal: Signal; dropped: Uint8Array | undefined; drive: Float32Array | null; next: Signal;
}
/** `layer`: -1 for a constant of the code. `rows`: "" for the values themselves. `own`: lowest and highest of the trained values, if every neuron has its own. */
export interface Slider {
  layer: number; name: string; label: string; unit: string; home: number; values: number[]; rows: Record<string, string>;
  own?: [number, number];
}
/** `rule`, `listed`, `open`, `limits` and `chances`: how the code changes with its sliders, see `codeOf`; `words`: what is said of it. */
export interface Coded {
  kind: string; units: number; shape: number[]; table: string; each: number; microseconds: number;
  dt: number; rule: string; listed: [number, number, number, number][]; open: string; limits: string;
  chances: string; words: string;
}
export interface Sample {
  label: number; answer: number; differs?: true; checks: number[]; scores?: string; length?: number;
  bytes?: string; when?: string; who?: string; values?: string; picture?: [rows: number, columns: number, bytes: string];
}
export interface StoredLayer {
  name: string; kind: Layer["kind"]; inputs: number; units: number; delay: number; value_reset: boolean; adapts: boolean;
  weights: string; recurrent: string | null; scales: (string | null)[]; rows: Record<string, string>;
}
/** The input of the network before it is coded: bytes, spikes or numbers; the others are null. `place`: of the sample, for its random numbers. */
export interface Given {
  bytes: Uint8Array | null; when: Uint16Array | null; who: Uint32Array | null; values: Float32Array | null; place: number;
}
export interface Exhibit {
  title: string; steps: number; dt: number; unit: string; rule: string; exact: boolean; outputs: boolean; seal: number;
  bound: number; classes: string[]; input: Coded; layers: StoredLayer[]; sliders: Slider[]; samples: Sample[];
  facts: [string, string][]; words: string[];
}
/** What is looked at. */
export interface View {
  data: Exhibit; net: Net; signal: Signal; played: Played[]; decided: { scores: Float64Array; leads: Int16Array };
  at: number; picked: { layer: number; unit: number }; label: number | null;
}
