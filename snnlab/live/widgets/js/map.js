// The map of a study: what the kernel sends stands in the widget's traits, or comes as changes; wishes are sent as messages.
import { mount, pointOf } from "./canvas.js";
import { h, write } from "./dom.js";
import { makeExplainer } from "./explain.js";
import { panel } from "./fields.js";
import { makeCellPanel } from "./mapcell.js";
import { nearestAt, paintCurve } from "./mapcurve.js";
import { makeMapFields } from "./mapfields.js";
import { makeFrontPanel } from "./mapfront.js";
import { makeMapHead } from "./maphead.js";
import { WIDE, paintMap, placeAt } from "./mappaint.js";
import { MapStore } from "./mapstore.js";
import { placeWords, turned } from "./mapwords.js";
import { answerPings, greet } from "./pings.js";

/**
 * @typedef {import("./types").Model} Model @typedef {import("./types").MapAbout} MapAbout @typedef {import("./types").MapDrawn} MapDrawn
 * @typedef {import("./types").Box} Box
 */

const MOVES = 160; // milliseconds between two positions of the edges that move

/** What is painted now. @param {Model} model @param {MapStore} store @param {number | null} at @param {number} phase */
function pictureOf(model, store, at, phase) {
  const about = /** @type {MapAbout} */ (model.get("about")), drawn = /** @type {MapDrawn} */ (model.get("drawn"));
  const axis = (/** @type {string | null} */ name) => about.axes.find((one) => one.name === name) ?? null;
  const x = /** @type {import("./types").MapAxis} */ (axis(drawn.view.x)), y = axis(drawn.view.y);
  const { rows, columns } = store.shown, fits = columns === x.values.length && rows === (y?.values.length ?? 1);
  return fits ? { about, drawn, shown: store.shown, x, y, at, phase } : null;
}

/**
 * The canvas with both panels, or both curves.
 * @param {Model} model @param {MapStore} store
 * @param {{ at: () => number | null, look: (place: number, told: boolean) => void, open: (place: number) => void }} deeds `told`: whether the keyboard came there
 */
function makeMaps(model, store, { at, look, open }) {
  const el = h("div", { class: "fill chart" });
  /** @type {Box[]} */ let panels = [];
  let phase = 0;
  const drawing = mount(el, {
    arrange: (width, height) => Math.max(height, width < WIDE ? 620 : 200),
    paint: (pen, width, height) => {
      const picture = pictureOf(model, store, at(), phase);
      if (picture) panels = (picture.y ? paintMap : paintCurve)(pen, width, height, picture);
    },
    label: () => `${model.get("drawn").words}. The arrow keys go from place to place, Enter opens a run.`,
    role: "application",
  });
  const { canvas, redraw } = drawing;
  canvas.tabIndex = 0;
  const found = (/** @type {MouseEvent} */ event) => {
    const picture = pictureOf(model, store, null, 0), point = pointOf(canvas, event);
    if (!picture) return null;
    const places = panels.map((box) => (picture.y ? placeAt(box, store.shown, point) : nearestAt(box, picture.x.places, point)));
    return places.find((place) => place !== null) ?? null;
  };
  canvas.addEventListener("pointermove", (event) => { const k = found(event); if (k !== null && k !== at()) look(k, false); });
  canvas.addEventListener("click", (event) => { const k = found(event); if (k !== null) open(k); });
  canvas.addEventListener("keydown", (event) => {
    const { rows, columns } = store.shown, now = at();
    const next = turned(event.key, now ?? 0, rows, columns);
    if (next !== null) look(now === null ? 0 : next, true);
    else if (event.key === "Enter" && now !== null) open(now);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const timer = setInterval(() => {
    if (still.matches || !store.shown.places.some(({ computing }) => computing)) return;
    phase = (phase + 1) % 64;
    redraw();
  }, MOVES);
  return { el, canvas, redraw, stop: () => { clearInterval(timer); drawing.stop(); } };
}

/** @param {Model} model @param {HTMLElement} el @returns {() => void} what ends it */
function build(model, el) {
  const about = /** @type {MapAbout} */ (model.get("about"));
  const store = new MapStore(() => model.send({ hello: true }));
  /** @type {number | null} */ let at = null;
  const places = () => store.shown.places, drawn = () => /** @type {MapDrawn} */ (model.get("drawn"));
  const open = (/** @type {number} */ place) => { if (Number.isFinite(places()[place]?.score.middle) || places()[place]?.progress) model.send({ open: places()[place].typical }); };
  const told = h("p", { class: "words", role: "status" });
  const look = (/** @type {number} */ place, /** @type {boolean} */ byKey) => {
    at = place;
    if (byKey && places()[place]) write(told, placeWords(about, places()[place]));
    cell.look(places()[place] ?? null);
    maps.redraw();
    front.show();
  };
  const maps = makeMaps(model, store, { at: () => at, look, open });
  const cell = makeCellPanel(about, () => store.cells, (number) => model.send({ open: number }));
  const front = makeFrontPanel(about, drawn, places, () => at, (place) => look(place, true), open);
  const head = makeMapHead(model), fields = makeMapFields(model, () => [maps.canvas, front.canvas]);
  const body = h("div", { class: "study" }, panel("maps", "Map", fields.el, maps.el), cell.el, front.el);
  const root = h("section", { class: "screen map", "aria-label": "Map of a study", "data-lm-suppress-shortcuts": "true" }, head.el, body, told);
  root.addEventListener("keydown", (event) => event.stopPropagation()); // the keys of the notebook are others
  el.replaceChildren(h("div", { class: "frame" }, root));
  const explainer = makeExplainer(root, about.explained);
  const show = () => {
    if (at !== null && at >= places().length) at = null;
    cell.look(at === null ? null : places()[at]);
    maps.redraw();
    front.show();
  };
  const take = () => { store.takeCells(model.get("cells")); store.takePlaces(model.get("places")); show(); };
  const takePlaces = () => { store.takePlaces(model.get("places")); show(); };
  const hear = (/** @type {any} */ message, /** @type {DataView[]} */ parts) => { if (message.news !== undefined && store.takeNews(message, parts)) show(); };
  const events = /** @type {[string, (...told: any[]) => void][]} */ ([["change:cells", take], ["change:places", takePlaces], ["change:drawn", show], ["msg:custom", hear]]);
  take();
  for (const [event, act] of events) model.on(event, act);
  return () => {
    for (const part of [explainer, maps, cell, front, head, fields]) part.stop();
    for (const [event, act] of events) model.off(event, act);
  };
}

export default {
  /** @param {{ model: Model }} page */
  initialize({ model }) {
    answerPings(model);
  },
  /** @param {{ model: Model, el: HTMLElement }} page */
  render({ model, el }) {
    el.classList.add("snnlab"); // marimo does not know the classes of ipywidgets
    const stop = build(model, el);
    const part = greet(model, el);
    return () => {
      stop();
      part();
    };
  },
};
