// The raster with its fields: which sample, which layer, in which order; and its ghost while a knob is held.
import { h, icon } from "./dom.js";
import { ask } from "./explain.js";
import { choice, panel } from "./fields.js";
import { Raster } from "./raster.js";
import { saveMenu } from "./save.js";

/** @typedef {import("./types").Model} Model */

const GHOST_TIME = 4000; // milliseconds for which the former raster stays after a move, while it trains

/** @param {Model} model @param {() => void} chosen */
export function makeRasterPanel(model, chosen) {
  const { layers, sorts, samples, part } = /** @type {import("./types").About} */ (model.get("about"));
  const raster = new Raster(model, chosen), validates = part === "val";
  const sample = h("input", {
    type: "number", min: 0, max: samples - 1, step: 1, "aria-label": validates ? "validation sample" : "test sample", "data-explain": "raster.test sample", "data-set": "sample",
    onchange: () => model.send({ set: { sample: Math.round(+sample.value) } }),
  });
  const layer = choice(model, "layer", "raster.layer", ["all", ...layers]), sort = choice(model, "sort", "raster.sorted by", sorts);
  const show = () => {
    const { view } = /** @type {import("./types").Running} */ (model.get("run"));
    for (const [field, value] of /** @type {[HTMLInputElement, any][]} */ ([[sample, view.drawn ? "" : view.sample], [layer, view.layer], [sort, view.sort]]))
      if (document.activeElement !== field || field.tagName === "SELECT") field.value = String(value);
  };
  show();
  model.on("change:run", show);
  const label = (/** @type {string} */ words, /** @type {HTMLElement} */ field) => h("label", {}, h("span", {}, words), field);
  const choices = layers.length > 1 ? label("layer", layer) : null;
  const save = saveMenu(() => "raster", () => [raster.canvas]);
  const which = label(validates ? "sample" : "test sample", sample);
  const fields = h("div", { class: "fields" }, which, choices, label("sorted by", sort), makePlay(raster.player), save, ask("Raster"));
  raster.el.className = "fill";
  const el = panel("raster", "Raster", fields, raster.el);
  el.addEventListener("keydown", (event) => {
    if (!(event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement)) raster.player.press(event);
  });
  return { raster, el, stop: () => { raster.stop(); model.off("change:run", show); } };
}

/** The button that plays the sample, and one that ends it. @param {import("./player.js").Player} player */
export function makePlay(player) {
  const play = h("button", { class: "quiet", "data-explain": "raster.slow motion", onclick: () => player.toggle() }, icon("play")), end = h("button", {
    class: "quiet", "aria-label": "end slow motion", "data-explain": "raster.end slow motion", onclick: () => player.end(),
  }, icon("close"));
  const show = () => {
    const words = player.playing ? "pause slow motion" : "play in slow motion";
    if (play.ariaLabel !== words) play.replaceChildren(icon(player.playing ? "pause" : "play"));
    play.ariaLabel = words;
    end.style.visibility = player.at === null ? "hidden" : "visible";
  };
  show();
  player.watch(show);
  return h("div", { class: "undo" }, play, end);
}

/**
 * While a knob is held the former raster stays, pale, behind the new one; and a while longer, as long as it trains.
 * @param {Model} model @param {Raster | undefined} raster
 */
export function holdOf(model, raster) {
  let timer = 0;
  const over = () => {
    if (model.get("run").transport === "pause") raster?.forget();
    else timer = window.setTimeout(over, GHOST_TIME); // in a pause it stays: nothing else changes
  };
  return {
    grab() {
      clearTimeout(timer);
      raster?.remember();
    },
    release() {
      clearTimeout(timer);
      timer = window.setTimeout(over, GHOST_TIME);
    },
    /** All is as it was before. */
    forget() {
      clearTimeout(timer);
      raster?.forget();
    },
    stop: () => clearTimeout(timer),
  };
}
