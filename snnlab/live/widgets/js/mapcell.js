// The place that is looked at: its values, its seeds as a table with a button each, and their curves.
import { mount } from "./canvas.js";
import { BLUE, axisBeside, axisUnder, box, explained, line, scale, text, ticks, within } from "./draw.js";
import { h, write } from "./dom.js";
import { ask } from "./explain.js";
import { panel } from "./fields.js";
import { percent } from "./numbers.js";
import { scoreWords, spikeWords, standsAt, valuesOfCell } from "./mapwords.js";

/**
 * @typedef {import("./types").Pen} Pen @typedef {import("./types").MapAbout} MapAbout @typedef {import("./types").MapPlace} MapPlace
 * @typedef {import("./types").MapCell} MapCell @typedef {import("./types").MapRow} MapRow
 */

/** Curves of all seeds over the epochs. @param {Pen} pen @param {number} width @param {number} height @param {MapAbout} about @param {{ rows: MapRow[], typical: boolean }[]} seeds */
export function paintCurves(pen, width, height, about, seeds) {
  const place = { x: 42, y: 18, width: width - 52, height: height - 40 }, all = seeds.flatMap(({ rows }) => rows.map(({ score }) => score)).filter(Number.isFinite);
  explained(pen, "map.curves", place);
  text(pen, `${about.score.name} by epoch`, 2, 11, { size: 11, bold: true, room: width - 4 });
  box(pen, place, 0.25);
  const at = scale(0, about.epochs, place.x, place.x + place.width), marks = ticks(0, about.epochs, Math.max(2, Math.min(about.epochs, place.width / 45))).filter(Number.isInteger);
  axisUnder(pen, place, marks, at, String);
  if (!all.length) return void text(pen, "no epoch yet", place.x + place.width / 2, place.y + place.height / 2 + 4, { align: "center", size: 11, alpha: 0.85 });
  const low = Math.min(...all), high = Math.max(...all), more = 0.08 * (high - low || 0.1);
  const words = about.score.share ? { low: Math.max(0, low - more), high: Math.min(1, high + more) } : { low: low - more, high: high + more };
  const up = about.score.share ? percents(pen, place, words.low, words.high) : axisBeside(pen, place, words.low, words.high, Math.max(2, place.height / 30));
  within(pen, place, () => {
    for (const { rows, typical } of [...seeds].sort((a, b) => Number(a.typical) - Number(b.typical))) {
      const points = rows.map(({ epoch, score }) => /** @type {import("./types").Point} */ ([at(epoch), Number.isFinite(score) ? up(score) : NaN]));
      line(pen, points, { colour: BLUE, width: typical ? 2.4 : 1.2, alpha: typical ? 1 : 0.55 });
      const [x, y] = points[points.length - 1] ?? [];
      if (y === undefined || Number.isNaN(y)) continue;
      pen.fillStyle = BLUE;
      pen.beginPath();
      pen.arc(x, y, typical ? 3.5 : 2, 0, 2 * Math.PI);
      pen.fill();
    }
  });
}

/** @param {Pen} pen @param {import("./types").Box} place @param {number} low @param {number} high */
function percents(pen, { x, y, width, height }, low, high) {
  const at = scale(low, high, y + height, y);
  for (const tick of ticks(low, high, Math.max(3, height / 22))) {
    line(pen, [[x, at(tick)], [x + width, at(tick)]], { alpha: 0.12 });
    text(pen, percent(tick), x - 5, at(tick) + 4, { align: "right", size: 11, alpha: 0.85 });
  }
  return at;
}

/** Score, spikes, and where it stands. @param {MapAbout} about @param {MapPlace} place */
export function numbersOf(about, place) {
  const { middle, low, high } = place.score;
  if (!Number.isFinite(middle)) return standsAt(about, place);
  const spread = high > low ? ` (${scoreWords(about, low)} to ${scoreWords(about, high)})` : "";
  return `${scoreWords(about, middle)}${spread} \u00b7 ${spikeWords(place.spikes.middle)} spikes \u00b7 ${standsAt(about, place)}`;
}

/**
 * @param {MapAbout} about @param {() => Map<number, MapCell>} cells
 * @param {(number: number) => void} open the run of a cell
 */
export function makeCellPanel(about, cells, open) {
  /** @type {MapPlace | null} */ let place = null;
  const where = h("h4", { class: "where", "data-explain": "map.cell" }), numbers = h("p", { class: "numbers" }), why = h("p", { class: "hint why" }), body = h("tbody");
  const several = about.seed_words.length > 0, heads = [several ? "seed" : "", "score", "spikes", "epoch", ""].map((words) => (words ? h("th", { scope: "col" }, words) : h("td")));
  const table = h("table", {}, h("thead", {}, h("tr", {}, ...heads)), body);
  const scroll = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "seeds of the place" }, table);
  const chart = h("div", { class: "fill chart" });
  const more = about.seeds.length ? about.seeds : [0];
  const seeds = () => more.flatMap((far, k) => (place ? [{ number: place.base + far, words: about.seed_words[k] ?? "" }] : []));
  const drawing = mount(chart, {
    arrange: (_, height) => Math.max(height, 80),
    paint: (pen, width, height) => {
      const curves = seeds().map(({ number }) => ({ rows: cells().get(number)?.rows ?? [], typical: number === place?.typical }));
      paintCurves(pen, width, height, about, curves);
    },
    label: () => (place ? `Curves of ${valuesOfCell(about, place.base).map(({ name, words }) => `${name} ${words}`).join(", ")}` : "Curves of a place"),
    role: "img",
  });
  const heading = h("div", { class: "heading" }, where, ask("Place"));
  const el = panel("cell", "Place", heading, h("div", { class: "told" }, numbers, scroll, why), chart);

  /** One line of the table. @param {{ number: number, words: string }} seed */
  function row({ number, words }) {
    const cell = cells().get(number), newest = cell?.rows[cell.rows.length - 1];
    const name = words, stands = cell ? standsAt(about, cell) : "not part of the search";
    const button = h("button", {
      class: "small", "data-explain": "map.open", "data-open": number, "aria-label": several ? `open seed ${name}` : "open this network", onclick: () => open(number),
    }, "open");
    button.disabled = !newest;
    const told = [name, scoreWords(about, newest?.score ?? NaN), spikeWords(newest?.spikes ?? NaN), newest ? `${newest.epoch} of ${about.epochs}` : stands];
    return h("tr", { class: number === place?.typical && seeds().length > 1 ? "here" : "", title: stands }, ...told.map((one) => h("td", {}, one)), h("td", {}, button));
  }

  function show() {
    write(where, place ? valuesOfCell(about, place.base).map(({ name, words }) => `${name} ${words}`).join(" \u00b7 ") : "Point at the map, or use the arrow keys.");
    write(numbers, place ? numbersOf(about, place) : "");
    const focused = document.activeElement instanceof HTMLElement && body.contains(document.activeElement) ? document.activeElement.dataset.open : null;
    body.replaceChildren(...seeds().map(row));
    if (focused) /** @type {HTMLElement | null} */ (body.querySelector(`[data-open="${focused}"]`))?.focus({ preventScroll: true });
    why.title = seeds().map(({ number }) => cells().get(number)?.why ?? "").find(Boolean) ?? "";
    write(why, why.title);
    drawing.redraw();
  }
  const look = (/** @type {MapPlace | null} */ now) => { place = now; show(); };
  return { el, look, show, stop: drawing.stop };
}
