// Undo and redo of the moves of knobs; Ctrl+Z does the same.
import { h, icon } from "./dom.js";

/** @param {import("./types").Model} model @returns {import("./types").Part} */
export function makeUndo(model) {
  const button = (/** @type {"undo" | "redo"} */ name, /** @type {"back" | "redo"} */ picture) =>
    h("button", { class: "quiet", "data-do": name, "aria-label": name, onclick: () => model.send({ do: name }) }, icon(picture));
  const undo = button("undo", "back"), redo = button("redo", "redo");
  const show = () => {
    const { undo: last, redo: next } = /** @type {import("./types").Running} */ (model.get("run")).undo;
    Object.assign(undo, { disabled: !last, title: last ? `Undo the move of ${last} (Ctrl+Z)` : "No move to undo" });
    Object.assign(redo, { disabled: !next, title: next ? `Redo the move of ${next} (Ctrl+Shift+Z)` : "No move to redo" });
  };
  show();
  model.on("change:run", show);
  return { el: h("div", { class: "undo" }, undo, redo), stop: () => model.off("change:run", show) };
}
