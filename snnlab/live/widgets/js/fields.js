// What the panels are made of: a frame with a name, fields that the kernel answers, and the looks that a page keeps.
import { h } from "./dom.js";

/** @typedef {import("./types").Model} Model */

/** Change how the screen looks; it is kept with the dashboard. @param {Model} model @param {object} changes */
export function set(model, changes) {
  model.set("ui", { ...model.get("ui"), ...changes });
  model.save_changes();
}

/** @param {string} name @param {string} title @param {...(Node | null)} children */
export const panel = (name, title, ...children) => h("section", { class: `panel ${name}`, "aria-label": title }, ...children);

/**
 * A field: chosen here, shown as the kernel has it.
 * @param {Model} model @param {string} name @param {string} explain key of its explanation @param {string[]} options
 */
export function choice(model, name, explain, options) {
  const send = () => model.send({ set: { [name]: el.value } });
  const el = h("select", { "aria-label": name.replace("_", " "), "data-explain": explain, "data-set": name, onchange: send }, ...options.map((option) => h("option", {}, option)));
  return el;
}
