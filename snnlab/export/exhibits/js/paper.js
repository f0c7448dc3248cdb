// The input: a sample, a drawing, or a file of one's own.
import { board } from "./board.js";
import { box, grey, line, picture, shapeOf } from "./draw.js";
import { TOLD, hand } from "./hand.js";
import { centred, penOf, stroke } from "./ink.js";
import { bytesOf, floatsOf } from "./stored.js";

/** @typedef {import("./exhibit").Exhibit} Exhibit @typedef {import("./exhibit").Given} Given */
/** @typedef {import("./exhibit").Sample} Sample */
/** @typedef {import("./ink.js").Spot} Spot */

/** Rows and columns of a picture of the input; a table is one row. @param {number[]} shape */
const gridOf = (shape) => {
  const columns = shape[shape.length - 1] ?? 1;
  return { rows: shape.reduce((a, b) => a * b, 1) / columns, columns };
};

/** Numbers in a text, or null if something else is in it. @param {string} text */
function numbersOf(text) {
  const words = text.split(/[\s,;]+/).filter(Boolean), numbers = words.map(Number);
  return numbers.length && numbers.every(Number.isFinite) ? numbers : null;
}

/**
 * The grey values of an image file, in the size of the input, light ink on dark paper.
 * @type {(file: File, rows: number, columns: number) => Promise<Uint8Array>}
 */
const imageOf = async (file, rows, columns) => {
  const source = await createImageBitmap(file), canvas = document.createElement("canvas");
  Object.assign(canvas, { width: columns, height: rows });
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  pen.imageSmoothingQuality = "high";
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, columns, rows);
  pen.drawImage(source, 0, 0, columns, rows);
  const { data } = pen.getImageData(0, 0, columns, rows);
  const grey = (/** @type {number} */ k) => Math.round(0.299 * data[k] + 0.587 * data[k + 1] + 0.114 * data[k + 2]);
  const light = Uint8Array.from({ length: rows * columns }, (_, k) => grey(4 * k));
  const corners = [0, columns - 1, (rows - 1) * columns, rows * columns - 1].reduce((sum, k) => sum + light[k], 0) / 4;
  return corners > 127 ? light.map((value) => 255 - value) : light;
};

const NONE = { bytes: null, when: null, who: null, values: null, place: 0 };

/** Whether the samples are bytes, or numbers of 0 to 1. @param {Exhibit} data */
function areBrightness({ samples: [{ values }] }) {
  return !values || floatsOf(values).every((value) => value >= 0 && value <= 1);
}

/** Numbers as a picture, from the lowest to the highest. @param {Float32Array} values @param {number} rows */
function drawnOf(values, rows) {
  const low = values.reduce((a, b) => Math.min(a, b), Infinity), high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const bytes = Uint8Array.from(values, (value) => Math.round((255 * (value - low)) / (high - low || 1)));
  return { rows, columns: values.length / rows, bytes };
}

/** Events as spikes, and what is left out of them. @type {(data: Exhibit, numbers: number[]) => Given & { left: string }} */
function eventsOf({ input, steps }, numbers) {
  if (numbers.length % 2) throw new Error("Events are pairs: time in microseconds, unit.");
  const { microseconds, units } = input, count = numbers.length / 2;
  const pairs = Array.from({ length: count }, (_, k) => [Math.floor(numbers[2 * k] / microseconds), numbers[2 * k + 1]]);
  const there = pairs.filter(([t, u]) => t >= 0 && t < steps && Number.isInteger(u) && u >= 0 && u < units), outside = count - there.length;
  if (!there.length) throw new Error(`No event is in 0 to ${(steps * microseconds) / 1000} ms and has a unit of 0 to ${units - 1}.`);
  const left = outside ? `${outside} of ${count} events are at other times or of other units, and left out.` : "";
  return { ...NONE, left, when: Uint16Array.from(there, ([t]) => t), who: Uint32Array.from(there, ([, u]) => u) };
}

/**
 * What a file of one's own says to the network, and what of it is left out; throws what to tell.
 * @type {(data: Exhibit, file: File) => Promise<Given & { left?: string }>}
 */
export const ownInput = async (data, file) => {
  const { input } = data, { rows, columns } = gridOf(input.shape), needed = rows * columns;
  if (file.type.startsWith("image/")) {
    if (!input.table || input.shape.length !== 2) throw new Error("This network does not read pictures.");
    return { ...NONE, bytes: await imageOf(file, rows, columns) };
  }
  const numbers = numbersOf(await file.text());
  if (!numbers) throw new Error("The file has something else than numbers.");
  if (input.kind === "events") return eventsOf(data, numbers);
  if (!input.table) throw new Error("The code of this network is not in the page; its samples are.");
  if (numbers.length !== needed) throw new Error(`The network reads ${needed} numbers, the file has ${numbers.length}.`);
  if (!areBrightness(data)) return { ...NONE, values: Float32Array.from(numbers) }; // in the units of the samples
  const outside = numbers.find((value) => value < 0 || value > 255);
  if (outside !== undefined) throw new Error(`Numbers must be 0 to 1, or 0 to 255; the file has ${outside}.`);
  const factor = numbers.some((value) => value > 1) ? 1 : 255;
  return { ...NONE, bytes: Uint8Array.from(numbers, (value) => Math.round(value * factor)) };
};

/**
 * The paper on which a sample is seen and on which one draws, with mouse, finger or keys.
 * @param {HTMLElement} el @param {Exhibit} data @param {(given: Given) => void} draw told what was drawn
 */
export function paper(el, data, draw) {
  const { input } = data;
  const { rows, columns } = gridOf(input.shape);
  const mayDraw = Boolean(input.table) && input.shape.length === 2 && rows > 1 && areBrightness(data);
  /** @type {import("./ink.js").Drawing} */ let seen = { rows, columns, bytes: new Uint8Array(rows * columns) };
  const place = () => {
    const { clientWidth: width, clientHeight: height } = el, shape = shapeOf(/** @type {any} */ (seen), Math.min(width, height));
    return { x: (width - shape.width) / 2, y: (height - shape.height) / 2, ...shape };
  };
  const { canvas, redraw } = board(el, (ctx) => {
    const at = place(), size = at.width / seen.columns;
    picture(ctx, { ...seen, bytes: new DataView(/** @type {ArrayBuffer} */ (seen.bytes.buffer)) }, grey, at);
    const hairline = { colour: "#fff", alpha: 0.1 }, few = mayDraw && Math.max(rows, columns) <= 32;
    const across = (/** @type {number} */ k) => at.x + k * size, down = (/** @type {number} */ k) => at.y + k * size;
    for (let k = 1; few && k < columns; k++) line(ctx, [[across(k), at.y], [across(k), at.y + at.height]], hairline);
    for (let k = 1; few && k < rows; k++) line(ctx, [[at.x, down(k)], [at.x + at.width, down(k)]], hairline);
    box(ctx, at);
    if (canvas.matches(":focus-visible")) pen?.show(ctx, at, size, size);
  }, () => (mayDraw ? TOLD : "The sample."), mayDraw ? "application" : "img");

  /** @param {{ rows: number, columns: number, bytes: Uint8Array }} now */
  const show = (now) => {
    seen = { ...now, bytes: now.bytes.slice() };
    draw({ ...NONE, bytes: now.bytes });
    redraw();
  };
  const clear = () => show({ rows, columns, bytes: new Uint8Array(rows * columns) });
  /** @param {Spot} from @param {Spot} to */
  const ink = (from, to) => {
    stroke(seen, from, to, penOf(seen));
    show(seen);
  };
  /** @param {PointerEvent} event @returns {Spot} */
  const spot = (event) => {
    const at = place(), { left, top } = canvas.getBoundingClientRect(), size = at.width / columns;
    return [(event.clientX - left - at.x) / size, (event.clientY - top - at.y) / size];
  };
  const pen = mayDraw ? hand(canvas, { rows, columns }, { spot, draw: ink, clear, redraw }, [columns / 2, rows / 2]) : null;
  return {
    mayDraw, clear, centre: () => show(/** @type {any} */ (centred(seen))),
    /** Show a sample, or what was read from a file. @param {Given} given @param {Sample["picture"]} [drawn] */
    see: (given, drawn) => {
      const [height, width, bytes] = drawn ? [drawn[0], drawn[1], bytesOf(drawn[2])] : [1, 1, new Uint8Array(1)];
      seen = given.bytes ? { rows, columns, bytes: given.bytes.slice() }
        : given.values && !drawn ? drawnOf(given.values, rows) : { rows: height, columns: width, bytes };
      redraw();
    },
  };
}
