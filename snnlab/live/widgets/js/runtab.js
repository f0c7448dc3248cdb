// What belongs to the run as a whole: what can change at a restart, export, pictures per second, results by epoch.
import { h } from "./dom.js";

/**
 * @param {import("./types").Model} model
 * @returns {import("./types").Part}
 */
export function makeRunTab(model) {
  const { structure, folder, hz } = /** @type {import("./types").About} */ (model.get("about"));
  const fields = Object.entries(structure).map(([name, value]) => {
    const input = h("input", { type: "number", min: 1, max: 1e6, step: 1, value, "data-restart": name });
    return { name, input, el: h("label", {}, h("span", {}, name.replace("_", " ")), input) };
  });
  const restart = () => model.send({ ask: ["restart", Object.fromEntries(fields.map(({ name, input }) => [name, +input.value]))] });
  const place = h("input", { type: "text", value: folder, "aria-label": "folder" });
  const rate = h("input", { type: "number", min: hz[0], max: hz[1], step: 0.5, "data-set": "hz", onchange: () => model.send({ set: { hz: +rate.value } }) });
  const table = h("table", {}), about = h("p", { class: "hint" });
  const send = () => model.send({ ask: ["export", place.value] });
  const el = h("div", { class: "runtab" },
    h("h4", {}, "Applies at a restart; knobs stay"),
    h("div", { class: "fields" }, ...fields.map((field) => field.el), h("button", { "data-do": "restart", onclick: restart }, "Apply")),
    h("h4", {}, "Export the weights as a safetensors file"),
    h("div", { class: "fields" }, h("label", { class: "wide" }, h("span", {}, "folder"), place), h("button", { "data-do": "export", onclick: send }, "Export")),
    h("h4", {}, "Pictures per second, if the browser keeps up"), h("div", { class: "fields" }, h("label", {}, h("span", {}, "at most"), rate)),
    h("h4", {}, "Results by epoch"), about, h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "results by epoch" }, table));
  /** @type {object | null} */ let drawn = null;
  /** What the kernel accepted stands in the fields, unless they are being edited. @param {HTMLInputElement} input @param {string} value */
  const put = (input, value) => { if (document.activeElement !== input && input.value !== value) input.value = value; };
  function show() {
    put(rate, String(model.get("run").view.hz));
    const results = /** @type {import("./types").Results} */ (model.get("results"));
    if (results === drawn) return;
    drawn = results;
    const row = (/** @type {string[]} */ cells, /** @type {"th" | "td"} */ tag) => h("tr", {}, ...cells.map((cell) => h(tag, {}, cell)));
    about.textContent = results.words;
    table.replaceChildren(...(results.rows.length ? [row(results.columns, "th"), ...results.rows.map((cells) => row(cells, "td"))] : []));
  }
  show();
  const events = ["change:run", "change:results"];
  for (const event of events) model.on(event, show);
  return { el, stop: () => { for (const event of events) model.off(event, show); } };
}
