// The shapes of what the modules hand to one another, for the type checker; nothing of this reaches the browser.

export type Look = [colour: string, dash: number[]];
export interface Style {
  colours: string[]; many: Look[]; terms: Look[]; train: Look; test: Look; others: Record<string, Look>; steps: number[];
  threshold: number[]; earlier: Look[]; branches: Look[]; shades: { high: string[]; low: string[] }; paper: { light: string; dark: string }; ink: { light: string; dark: string };
}
export interface Theme { ink: string; paper: string; font: string }
export interface Explained { key: string; box: Box }
export type Pen = CanvasRenderingContext2D & { size: { width: number; height: number }; theme: Theme; explained: Explained[] };
export interface Box { x: number; y: number; width: number; height: number }
export interface Line { colour?: string; width?: number; dash?: number[]; alpha?: number }
export interface Words {
  align?: CanvasTextAlign; bold?: boolean; size?: number; alpha?: number; colour?: string; room?: number; halo?: boolean;
}
export type Point = [number, number];
export interface Picture { rows: number; columns: number; bytes: DataView }
export interface Diverging extends Picture { scale: number; labels?: string[]; title?: string }

// A widget's half in the page, as anywidget hands it over.
export interface Model {
  get(name: string): any;
  set(name: string, value: any): void;
  save_changes(): void;
  on(event: string, act: (...told: any[]) => void): void;
  off(event: string, act: (...told: any[]) => void): void;
  send(message: object, callbacks?: object, buffers?: ArrayBuffer[]): void;
}

// A part of the screen: its element, and what ends it.
export interface Part { el: HTMLElement; stop(): void }
// Shows what a value of a knob would do, without training with it.
export interface Trial { now(knob: string): number; tryOut(knob: string, value: number): void; stopTrying(): void }

// ---- what the kernel sends, see snnlab/live/frames ----

export interface Knob {
  name: string; group: string; label: string; unit: string; log: boolean;
  value: number; low: number; high: number; least: number | null; explain: string;
}
export interface About {
  knobs: Knob[]; layers: string[]; samples: number; structure: Record<string, number>; devices: number; folder: string;
  hz: [number, number]; paces: number[]; sorts: string[]; windows: string[]; weight_sorts: string[]; classes: string[]; spiking: boolean;
  task: string; score: { name: string; words: string; curves: string[]; share: boolean };
  nouns: { unit: string; activity: string; state: string }; show: string[]; only?: string; terms: string[]; metrics: string[]; part: string;
  paper: { rows: number; columns: number; frame: [top: number, left: number, bottom: number, right: number] | null; reason: string };
  explained: Record<string, [sentence: string, equation: string]>; tour: Stop[];
}
export interface Stop {
  title: string; words: string; at: string[]; tab: string; press: boolean; move: { knob: string; value: number } | null;
}
export interface Running {
  state: string; transport: string; facts: string[]; fact_keys: string[]; progress: number; step: number; total: number;
  said: { text: string; warning: boolean }; trace: string; repair: string; knobs: Record<string, number>; tried: Record<string, number>;
  accuracy: string;
  view: { drawn: boolean; sample: number; layer: string; sort: string; hz: number; window: string; cell: [number, number] | null; weights_sort: string };
  compilations: number; pace: number | null; undo: { undo: string; redo: string }; heard: Record<string, number>;
}
export interface Results { columns: string[]; rows: string[][]; words: string; notes: string[][] }
export interface Input { units: number; title: string; bits?: DataView; values?: DataView; image?: Diverging }
export interface StepLabels { kind: "step_labels"; truth: DataView; said: DataView; lines: string[]; words: string }
export interface Values { kind: "values"; targets: number[]; said: (number | null)[]; lines: string[]; words: string }
export interface Traces { kind: "traces"; values: DataView; lines: string[]; words: string }
export interface SeveralLabels { kind: "several_labels"; true: number[]; said: number[]; lines: string[]; words: string }
export interface Trains { kind: "spike_trains"; outputs: number; wanted: DataView; fired: DataView; lines: string[]; words: string }
export type Target = StepLabels | Values | Traces | SeveralLabels | Trains;
export interface Scene {
  task: string; drawn: boolean; signal: { channels: number; values: DataView } | null; length: number | null; scored: DataView | null;
  image: Picture; drawing: DataView | null; classes: string[]; short: string[]; label: number | null; steps: number; cell: number; dt: number;
  input: Input | null; layers: string[]; readout: string | null;
  units: Record<string, number>;
}
export interface LayerFrame { order: DataView; title: string; bits?: DataView; image?: Diverging }
export interface NeuronFrame {
  layer: string; unit: number; title: string; trace: DataView | null; after: DataView | null; threshold: number | null;
  spikes: DataView | null; weights: Diverging | null;
}
export interface Moments {
  scores: DataView; readout: DataView | null; leads: DataView; spikes: Record<string, DataView>; words: string;
}
export interface Moment {
  column: number; share: number; atEnd: boolean; words: string; leads: number; scores: Float32Array; readout: Float32Array;
  spikes: Record<string, number>;
}
export interface Frame {
  layers: Record<string, LayerFrame>; readout: DataView; moments: Moments; shown: number[]; prediction: number; target: Target | null;
  neuron: NeuronFrame | null; summary: string; preview: boolean; voltages: any;
}
export interface Area { name: string; drawn?: Omit<LayerFrame, "order">; box: Box; units: ArrayLike<number> }
export interface Place { area: number; row: number }
export interface Unit { layer: string; unit: number }
export interface Curve { x: DataView; y: DataView }
export interface Lane {
  name: string; number: number; parent: string | null; start: number; end: number; moves: DataView; epochs: DataView; best: number | null;
}
export interface Times {
  here: string; step: number; tip: number; per_epoch: number; best: number | null; behind: boolean; goes_on: boolean; kept: DataView;
  lanes: Lane[]; columns: string[]; rows: string[][]; memory: [used: number, budget: number, least: number]; words: string;
}
export interface GhostFrame { name: string; number: number; curves: Record<string, Curve> }
export interface Curves {
  now: Record<string, Curve>; marks: { step: number; label: string }[]; range: [number, number] | null; words: string; earlier: string[];
}
export interface Rates { counts: number[]; top: number; dead: number; saturated: number; words: string }
export interface LayerHealth {
  name: string; rates: Rates | null; in_window: number | null; gradient: number | null; gradient_words: string;
  steps: number; over_time: DataView | null; words: string[];
}
export interface Health { step: number; layers: LayerHealth[]; summary: string; when: string; backward: any }

// ---- the map of a study, see snnlab/live/frames/map_*.py ----

export interface MapAxis { name: string; words: string; values: string[]; places: number[]; shown: boolean; unit: string }
export interface MapAbout {
  axes: MapAxis[]; shape: number[]; seeds: number[]; seed_words: string[]; epochs: number; findings: string[];
  score: { name: string; share: boolean }; explained: Record<string, [sentence: string, equation: string]>;
}
export interface MapView { x: string; y: string | null; fixed: Record<string, number | null>; level: number; contour: boolean; front: boolean }
export interface MapDrawn {
  view: MapView; contour: Point[][]; front: number[]; scales: { score: [number, number]; spikes: [number, number] }; below: boolean; others: string; words: string;
}
export interface MapState {
  state: string; facts: string[]; fact_keys: string[]; progress: number; said: { text: string; warning: boolean }; opened: string[];
}
export interface Spread { middle: number; low: number; high: number }
export interface MapPlace {
  score: Spread; spikes: Spread; progress: number; base: number; typical: number; fate: number; finding: number; computing: boolean;
}
export interface MapShown { rows: number; columns: number; places: MapPlace[] }
export interface MapRow { epoch: number; loss: number; score: number; spikes: number }
export interface MapCell { fate: number; finding: number; computing: boolean; rows: MapRow[]; why: string }
