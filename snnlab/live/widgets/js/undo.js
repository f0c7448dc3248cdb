// Undo and redo of the moves of knobs; Ctrl+Z does the same.
import { h, icon } from "./dom.js";

/** @param {import("./types").Model} model @returns {import("./types").Part} */
export function makeUndo(model) {
  const button = (/** @type {"undo" | "redo"} */ name, /** @type {string} */ explain, /** @type {"back" | "redo"} */ picture) =>
    h("button", { class: "quiet", "data-do": name, "data-explain": explain, "aria-label": name, onclick: () => model.send({ do: name }) }, icon(picture));
  const undo = button("undo", "head.undo", "back"), redo = button("redo", "head.redo", "redo");
  const show = () => {
    const { undo: last, redo: next } = /** @type {import("./types").Running} */ (model.get("run")).undo;
    for (const [el, knob, name] of /** @type {[HTMLButtonElement, string, string][]} */ ([[undo, last, "undo"], [redo, next, "redo"]])) {
      el.disabled = !knob;
      el.dataset.name = `${name} ${knob}`.trim();
    }
  };
  show();
  model.on("change:run", show);
  return { el: h("div", { class: "undo" }, undo, redo), stop: () => model.off("change:run", show) };
}
