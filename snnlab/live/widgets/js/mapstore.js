// What a page knows of a study: the places of its map, and the epochs of every cell; it comes whole, then in changes.
import { floatsOf } from "./draw.js";

/** @typedef {import("./types").MapPlace} MapPlace @typedef {import("./types").MapCell} MapCell @typedef {import("./types").MapShown} MapShown */

export const COLUMNS = 12;
export const FATES = ["", "waiting", "running", "done", "stopped", "failed"];
const CELL = 4, ROW = 5; // numbers of each in a message

/** @param {Float32Array} numbers @param {number} at @returns {MapPlace} */
function placeOf(numbers, at) {
  const [score, low, high, spikes, fewest, most, progress, base, typical, fate, finding, computing] = numbers.subarray(at, at + COLUMNS);
  return {
    score: { middle: score, low, high }, spikes: { middle: spikes, low: fewest, high: most },
    progress, base, typical, fate, finding, computing: computing > 0,
  };
}

export class MapStore {
  /** @param {() => void} ask called when a change was missed: everything must be sent anew */
  constructor(ask) {
    this.ask = ask;
    this.version = -1;
    /** @type {MapShown} */ this.shown = { rows: 0, columns: 0, places: [] };
    /** @type {Map<number, MapCell>} */ this.cells = new Map();
  }

  /** The whole map. @param {{ version: number, shape: [number, number], values: DataView }} whole */
  takePlaces({ version, shape: [rows, columns], values }) {
    const numbers = floatsOf(values);
    this.shown = { rows, columns, places: Array.from({ length: rows * columns }, (_, k) => placeOf(numbers, k * COLUMNS)) };
    this.version = version;
  }

  /** All cells. @param {{ version: number, cells: DataView, rows: DataView, why: Record<string, string> }} whole */
  takeCells({ version, cells, rows, why }) {
    this.cells.clear();
    this.add(floatsOf(cells), floatsOf(rows), why);
    this.version = version;
  }

  /**
   * What has changed; returns whether it could be taken.
   * @param {{ news: number, why: Record<string, string> }} message @param {DataView[]} parts
   */
  takeNews({ news, why }, [places, cells, rows]) {
    if (news <= this.version) return false; // it was in what came whole
    if (news !== this.version + 1) {
      this.ask();
      return false;
    }
    this.version = news;
    const numbers = floatsOf(places);
    for (let k = 0; k < numbers.length; k += COLUMNS + 1) this.shown.places[numbers[k]] = placeOf(numbers, k + 1);
    this.add(floatsOf(cells), floatsOf(rows), why);
    return true;
  }

  /** @param {Float32Array} cells @param {Float32Array} rows @param {Record<string, string>} why */
  add(cells, rows, why) {
    for (let k = 0; k < cells.length; k += CELL) {
      const [number, fate, finding, computing] = cells.subarray(k, k + CELL);
      this.cells.set(number, { fate, finding, computing: computing > 0, rows: this.cells.get(number)?.rows ?? [], why: why[number] ?? "" });
    }
    for (let k = 0; k < rows.length; k += ROW) {
      const [number, epoch, loss, score, spikes] = rows.subarray(k, k + ROW), known = this.cells.get(number)?.rows;
      if (!known) continue;
      while (known.length && known[known.length - 1].epoch >= epoch) known.pop(); // the cell went back
      known.push({ epoch, loss, score, spikes });
    }
  }
}
