// The main curves with their fields: window, moving averages, logarithmic axis, files.
import { mainOf, makeCurves } from "./curves.js";
import { h } from "./dom.js";
import { ask } from "./explain.js";
import { choice, panel, set } from "./fields.js";
import { saveCurves, saveMenu } from "./save.js";

/** @typedef {import("./types").Model} Model */

/** @param {Model} model */
export function makeCurvesPanel(model) {
  const toggle = (/** @type {string} */ name, /** @type {string} */ label, /** @type {string} */ explain) => {
    const el = h("button", { class: "small", "data-explain": explain, onclick: () => set(model, { [name]: !model.get("ui")[name] }) }, label);
    return { el, show: () => el.setAttribute("aria-pressed", String(Boolean(model.get("ui")[name]))) };
  };
  const toggles = [toggle("smooth", "smooth", "curves.smooth"), toggle("log", "log loss", "curves.log loss")];
  const window_ = choice(model, "window", "curves.window", model.get("about").windows);
  const curves = makeCurves(model, mainOf(model.get("about")), true);
  const show = () => {
    for (const { show: press } of toggles) press();
    window_.value = model.get("run").view.window;
  };
  show();
  const events = ["change:ui", "change:run"];
  for (const event of events) model.on(event, show);
  curves.el.classList.add("fill");
  const csv = { label: "CSV", explain: "curves.csv", act: () => saveCurves(model) };
  const save = saveMenu(() => "curves", () => [...curves.el.querySelectorAll("canvas")], [csv]);
  const el = panel("main", "Curves", h("div", { class: "fields" }, window_, ...toggles.map(({ el: button }) => button), save, ask("Curves")), curves.el);
  return { el, stop: () => { curves.stop(); for (const event of events) model.off(event, show); } };
}
