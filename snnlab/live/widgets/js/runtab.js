// What belongs to the run as a whole: what can change at a restart, export, notes, its setup, results by epoch.
import { h, write } from "./dom.js";
import { counted } from "./numbers.js";
import { download } from "./save.js";

/** The knobs and how the screen looks, as a file. @param {import("./types").Model} model */
function saveSetup(model) {
  const { knobs, pace, view } = /** @type {import("./types").Running} */ (model.get("run"));
  const ui = { ...model.get("ui") };
  delete ui.tour; // no look
  const setup = { snnlab: "setup", version: 1, knobs, pace, view, ui };
  download("setup.json", new Blob([JSON.stringify(setup, null, 1)], { type: "application/json" }));
}

/** A button that lets the user choose a file, and hands its content to the kernel. @param {import("./types").Model} model */
function makeOpener(model) {
  const file = h("input", { type: "file", accept: ".json,application/json", "aria-label": "setup file", hidden: true, onchange: async () => {
    const text = await file.files?.[0]?.text();
    file.value = ""; // the same file can be chosen again
    if (text === undefined) return;
    let setup;
    try { setup = JSON.parse(text); } catch { setup = text; } // the kernel says what is wrong with it
    model.send({ ask: ["setup", setup] });
  } });
  return [h("button", { "data-explain": "run.open", onclick: () => file.click() }, "Open"), file];
}

/** A field for a sentence, and those that were kept. @param {import("./types").Model} model */
function makeNotes(model) {
  const field = h("input", {
    type: "text", maxlength: 1000, "aria-label": "note", "data-explain": "run.note", placeholder: "what you saw, and why you did what",
    onkeydown: (/** @type {KeyboardEvent} */ { key }) => key === "Enter" && add(),
  });
  const list = h("ul", { class: "notes" });
  function add() {
    if (field.value.trim()) model.send({ ask: ["note", field.value] });
    field.value = "";
  }
  const button = h("button", { "data-do": "note", "data-explain": "run.add", onclick: add }, "Add");
  const el = h("div", {}, h("div", { class: "fields" }, h("label", { class: "wide" }, field), button), list);
  const show = (/** @type {string[][]} */ notes) => list.replaceChildren(...notes.map(([when, text]) => h("li", {}, h("b", {}, when), ` ${text}`)));
  return { el, show };
}

/**
 * @param {import("./types").Model} model
 * @returns {import("./types").Part}
 */
export function makeRunTab(model) {
  const { structure, folder, hz, devices } = /** @type {import("./types").About} */ (model.get("about"));
  const fields = Object.entries(structure).map(([name, value]) => {
    const input = h("input", { type: "number", min: 1, max: 1e6, step: 1, value, "data-restart": name, "data-explain": `restart.${name}` });
    return { name, input, el: h("label", {}, h("span", {}, name.replace("_", " ")), input) };
  });
  const restart = () => model.send({ ask: ["restart", Object.fromEntries(fields.map(({ name, input }) => [name, +input.value]))] });
  const place = h("input", { type: "text", value: folder, "aria-label": "folder", "data-explain": "run.folder" });
  const rate = h("input", {
    type: "number", min: hz[0], max: hz[1], step: 0.5, "data-set": "hz", "data-explain": "run.pictures per second",
    onchange: () => model.send({ set: { hz: +rate.value } }),
  });
  const table = h("table", {}), about = h("p", { class: "hint" }), compiled = h("p", { class: "hint", "data-explain": "run.compilations", tabindex: 0 });
  const send = h("button", { "data-do": "export", "data-explain": "run.export", onclick: () => model.send({ ask: ["export", place.value] }) }, "Export");
  const page = h("button", { "data-do": "page", "data-explain": "run.page", onclick: () => model.send({ ask: ["page", place.value] }) }, "Page");
  const notes = makeNotes(model);
  const el = h("div", { class: "runtab" },
    h("h4", {}, "Applies at a restart; knobs stay"),
    h("div", { class: "fields" }, ...fields.map((field) => field.el), h("button", { "data-do": "restart", "data-explain": "run.apply", onclick: restart }, "Apply")),
    h("h4", {}, "Export the weights as a safetensors file, or a page that plays the network"),
    h("div", { class: "fields" }, h("label", { class: "wide" }, h("span", {}, "folder"), place), send, page),
    h("h4", {}, "Notes: they stay with the run, and stand in its curves and its script"), notes.el,
    h("h4", {}, "This setup, as a file: knobs, tabs, fields, ranges of sliders"),
    h("div", { class: "fields" }, h("button", { "data-explain": "run.save", onclick: () => saveSetup(model) }, "Save"), ...makeOpener(model)),
    h("h4", {}, "Pictures per second, if the browser keeps up"), h("div", { class: "fields" }, h("label", {}, h("span", {}, "at most"), rate)),
    compiled, h("h4", { "data-explain": "run.results" }, "Results by epoch"), about,
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "results by epoch" }, table));
  /** @type {object | null} */ let drawn = null;
  /** What the kernel accepted stands in the fields, unless they are being edited. @param {HTMLInputElement} input @param {string} value */
  const put = (input, value) => { if (document.activeElement !== input && input.value !== value) input.value = value; };
  function show() {
    put(rate, String(model.get("run").view.hz));
    const sharing = devices > 1 ? `; ${devices} devices share the samples of a step` : "";
    write(compiled, `${counted(model.get("run").compilations, "compilation")} of the training step so far${sharing}`);
    const results = /** @type {import("./types").Results} */ (model.get("results"));
    if (results === drawn) return;
    drawn = results;
    const row = (/** @type {string[]} */ cells, /** @type {"th" | "td"} */ tag) => h("tr", {}, ...cells.map((cell) => h(tag, {}, cell)));
    notes.show(results.notes ?? []);
    about.textContent = results.words;
    table.replaceChildren(...(results.rows.length ? [row(results.columns, "th"), ...results.rows.map((cells) => row(cells, "td"))] : []));
  }
  show();
  const events = ["change:run", "change:results"];
  for (const event of events) model.on(event, show);
  return { el, stop: () => { for (const event of events) model.off(event, show); } };
}
