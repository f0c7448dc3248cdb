// The fields of a map: which axes it shows, the values of the others, the contour, the front, and files.
import { h, write } from "./dom.js";
import { ask } from "./explain.js";
import { download, saveMenu } from "./save.js";

/** @typedef {import("./types").Model} Model @typedef {import("./types").MapAbout} MapAbout @typedef {import("./types").MapDrawn} MapDrawn */

/** @param {Model} model @param {() => HTMLCanvasElement[]} canvases */
export function makeMapFields(model, canvases) {
  const about = /** @type {MapAbout} */ (model.get("about")), shown = about.axes.filter((axis) => axis.shown), drawn = () => /** @type {MapDrawn} */ (model.get("drawn"));
  const change = (/** @type {object} */ changes) => model.send({ view: changes });
  const choice = (/** @type {"x" | "y"} */ name) => {
    const el = h("select", { "aria-label": `${name} axis`, "data-explain": `map.${name}`, onchange: () => change({ [name]: el.value || null }) },
      ...(name === "y" ? [h("option", { value: "" }, "none")] : []), ...shown.map((axis) => h("option", { value: axis.name }, axis.name)));
    return el;
  };
  const x = choice("x"), y = choice("y");
  const others = shown.map((axis) => {
    const words = h("span", { class: "value" });
    const slider = h("input", {
      type: "range", min: 0, max: axis.values.length, step: 1, "aria-label": axis.name, "data-explain": "map.other",
      oninput: () => change({ fixed: { [axis.name]: +slider.value ? +slider.value - 1 : null } }),
    });
    const el = h("label", { class: "other" }, h("span", {}, axis.name), slider, words);
    const show = () => {
      const { x: across, y: up, fixed } = drawn().view;
      el.hidden = axis.name === across || axis.name === up || axis.values.length === 1;
      const k = fixed[axis.name] ?? null;
      if (document.activeElement !== slider) slider.value = String(k === null ? 0 : k + 1);
      const said = k === null ? `best of ${axis.values.length}` : `${axis.values[k]}${axis.unit && ` ${axis.unit}`}`;
      write(words, said);
      slider.setAttribute("aria-valuetext", said);
      slider.style.setProperty("--full", `${(100 * +slider.value) / axis.values.length}%`);
    };
    return { el, show };
  });
  const toggle = (/** @type {"contour" | "front"} */ name) =>
    h("button", { class: "small", "data-explain": `map.${name}`, onclick: () => change({ [name]: !drawn().view[name] }) }, name);
  const contour = toggle("contour"), front = toggle("front"), { share } = about.score;
  const named = { "aria-label": "level of the contour", "data-explain": "map.level" };
  const level = h("input", { type: "range", step: "any", ...named, oninput: () => take(+level.value) });
  const exact = h("input", {
    type: "number", step: "any", ...named, "aria-label": `level of the contour${share ? " in percent" : ""}, exactly`,
    onchange: () => exact.value && take(share ? +exact.value / 100 : +exact.value),
  });
  const take = (/** @type {number} */ value) => change({ level: share ? Math.round(value * 200) / 200 : value, contour: true });
  const table = h("button", { class: "small", "data-explain": "map.table", onclick: () => model.send({ do: "table" }) }, "table");
  const page = `csv-${Math.random().toString(36).slice(2)}`, csv = { label: "CSV", explain: "map.csv", act: () => model.send({ csv: page }) };
  const save = saveMenu(() => "study", canvases, [csv]);
  const axes = [h("label", {}, "x", x), h("label", {}, "y", y), ...others.map((one) => one.el)];
  const el = h("div", { class: "fields" }, ...axes, contour, level, h("label", {}, exact, share ? "%" : null), front, table, save, ask("Map"));
  const show = () => {
    const { view, scales } = drawn();
    [x.value, y.value] = [view.x, view.y ?? ""];
    front.hidden = !view.y;
    for (const other of others) other.show();
    contour.setAttribute("aria-pressed", String(view.contour));
    front.setAttribute("aria-pressed", String(view.front));
    [level.min, level.max] = scales.score.map(String);
    if (document.activeElement !== level) level.value = String(view.level);
    if (document.activeElement !== exact) exact.value = String(+(share ? 100 * view.level : view.level).toPrecision(4));
    level.style.setProperty("--full", `${Math.min(Math.max((100 * (view.level - scales.score[0])) / (scales.score[1] - scales.score[0]), 0), 100)}%`);
  };
  const offer = (/** @type {any} */ message) => {
    if (message.csv === page) download("study.csv", new Blob([message.text], { type: "text/csv" }));
  };
  show();
  model.on("change:drawn", show);
  model.on("msg:custom", offer);
  return { el, stop: () => { model.off("change:drawn", show); model.off("msg:custom", offer); } };
}
