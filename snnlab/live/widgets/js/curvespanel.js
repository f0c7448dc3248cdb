// The main curves with their fields: window, moving averages, logarithmic axis, files.
import { MAIN, makeCurves } from "./curves.js";
import { h } from "./dom.js";
import { choice, panel, set } from "./fields.js";
import { saveCurves, saveMenu } from "./save.js";

/** @typedef {import("./types").Model} Model */

/** @param {Model} model */
export function makeCurvesPanel(model) {
  const toggle = (/** @type {string} */ name, /** @type {string} */ label, /** @type {string} */ title) => {
    const el = h("button", { class: "small", title, onclick: () => set(model, { [name]: !model.get("ui")[name] }) }, label);
    return { el, show: () => el.setAttribute("aria-pressed", String(Boolean(model.get("ui")[name]))) };
  };
  const toggles = [toggle("smooth", "smooth", "Show moving averages"), toggle("log", "log loss", "Show the loss on a logarithmic axis")];
  const window_ = choice(model, "window", model.get("about").windows);
  const curves = makeCurves(model, MAIN);
  const show = () => {
    for (const { show: press } of toggles) press();
    window_.value = model.get("run").view.window;
  };
  show();
  const events = ["change:ui", "change:run"];
  for (const event of events) model.on(event, show);
  curves.el.className = "fill";
  const csv = { label: "CSV", title: "The points that are shown; lab.history has every step", act: () => saveCurves(model) };
  const save = saveMenu(() => "curves", () => [...curves.el.querySelectorAll("canvas")], [csv]);
  const el = panel("main", "Curves", h("div", { class: "fields" }, window_, ...toggles.map(({ el: button }) => button), save), curves.el);
  return { el, stop: () => { curves.stop(); for (const event of events) model.off(event, show); } };
}
