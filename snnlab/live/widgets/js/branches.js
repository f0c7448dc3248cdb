// The branches of a run: lanes over its steps, and a table in which one is chosen, or two are trained side by side.
import { mount, pointOf } from "./canvas.js";
import { LEFT, RIGHT } from "./curves.js";
import { h, write } from "./dom.js";
import { VERMILION, axisUnder, dot, explained, fill, line, text, ticks, within } from "./draw.js";
import { readable } from "./numbers.js";
import { drawEvents, lastOf, lookOfBranch, placeOf, rounded, star, timesOf } from "./scrubber.js";

/** @typedef {import("./types").Model} Model @typedef {import("./types").Pen} Pen @typedef {import("./types").Box} Box @typedef {import("./types").Times} Times */

const LANE = 20, TOP = 6, AXIS = 18; // pixels
const KEYS = ["time.branch", "time.from", "time.to", "time.knobs that differ", "time.best score", "time.spikes"];

/** @param {Model} model @returns {import("./types").Part} */
export function makeBranches(model) {
  const lanes = makeLanes(model), table = makeTable(model), memory = makeMemory(model);
  const el = h("div", { class: "timetab" }, lanes.el, table.el, h("div", { class: "fields" }, table.both, memory.el));
  const parts = [lanes, table, memory];
  return { el, stop: () => { for (const part of parts) part.stop(); } };
}

/** Go where a branch stands. @param {Model} model @param {string} name */
const choose = (model, name) => model.send({ ask: ["switch", name] });

/** @param {Model} model @returns {import("./types").Part} */
function makeLanes(model) {
  const el = h("div", { class: "lanes" });
  const range = () => {
    const seen = model.get("curves").range;
    return seen ? { low: seen[0], high: seen[1] } : { low: 0, high: Math.max(10, lastOf(timesOf(model))) };
  };
  const { canvas, redraw, stop } = mount(el, {
    role: "img",
    arrange: () => TOP + LANE * (timesOf(model)?.lanes.length ?? 1) + AXIS,
    label: () => timesOf(model)?.words ?? "Branches: none yet.",
    paint: (pen, width) => {
      const times = timesOf(model);
      if (times) drawLanes(pen, times, { x: LEFT, y: TOP, width: width - LEFT - RIGHT, height: LANE * times.lanes.length }, range());
    },
  });
  canvas.addEventListener("click", (event) => {
    const lane = timesOf(model)?.lanes[Math.floor((pointOf(canvas, event).y - TOP) / LANE)];
    if (lane) choose(model, lane.name);
  });
  const show = () => {
    el.style.height = `${TOP + LANE * (timesOf(model)?.lanes.length ?? 1) + AXIS}px`;
    redraw();
  };
  show();
  const events = ["change:times", "change:curves"];
  for (const event of events) model.on(event, show);
  return { el, stop: () => { stop(); for (const event of events) model.off(event, show); } };
}

/** @param {Pen} pen @param {Times} times @param {Box} place @param {import("./scrubber.js").Range} range */
function drawLanes(pen, times, place, range) {
  const at = (/** @type {number} */ step) => placeOf(step, place, range), { x, y, width, height } = place;
  const middle = (/** @type {number} */ k) => y + LANE * (k + 0.5), row = (/** @type {string | null} */ name) => times.lanes.findIndex((lane) => lane.name === name);
  for (const tick of ticks(range.low, range.high, Math.max(2, width / 70))) line(pen, [[at(tick), y], [at(tick), y + height]], { alpha: 0.1 });
  fill(pen, 0, middle(row(times.here)) - LANE / 2 + 1, x + width + RIGHT, LANE - 2, { alpha: 0.07 });
  within(pen, { x: x - 6, y: y - TOP, width: width + RIGHT + 2, height: height + TOP }, () => {
    times.lanes.forEach((lane, k) => {
      const { colour, dash } = lookOfBranch(lane.number), from = row(lane.parent), here = lane.name === times.here;
      if (from >= 0) {
        const [px, bend] = [at(lane.start), 6];
        line(pen, [[px, middle(from)], [px, middle(k) - bend], [px + bend, middle(k)]], { colour, width: 1.5 });
        dot(pen, px, middle(from), colour);
      }
      const [left, right] = [at(lane.start) + (from >= 0 ? 6 : 0), at(lane.end)];
      rounded(pen, { x: left, y: middle(k) - 6, width: Math.max(0, right - left), height: 12 }, { colour, alpha: here ? 0.4 : 0.2 });
      line(pen, [[left, middle(k)], [right, middle(k)]], { colour, dash, width: 2 });
    });
    times.lanes.forEach((lane, k) => {
      drawEvents(pen, [lane], { y: middle(k), tall: 12, at, seen: (px) => px >= x - 4 && px <= x + width + 4, apart: 22 });
      if (lane.best !== null) star(pen, at(lane.best), middle(k), 5.5);
    });
    const k = row(times.here);
    line(pen, [[at(times.step), middle(k) - LANE / 2 + 1], [at(times.step), middle(k) + LANE / 2 - 1]], { colour: times.behind ? VERMILION : undefined, width: 3 });
  });
  times.lanes.forEach(({ name, number }, k) => {
    line(pen, [[4, middle(k)], [20, middle(k)]], { ...lookOfBranch(number), width: 2.5 });
    text(pen, name, 24, middle(k) + 4, { bold: name === times.here, size: 11, room: LEFT - 30 });
  });
  axisUnder(pen, place, ticks(range.low, range.high, Math.max(2, width / 70)), at, (tick) => readable(tick, 6) + (tick ? "" : " steps"));
  for (const key of ["time.lanes", "time.moves", "time.epochs", "time.best"]) explained(pen, key, place, 0);
}

/** @param {Model} model */
function makeTable(model) {
  const head = h("tr"), body = h("tbody"), el = h("div", { class: "scroll" }, h("table", { "aria-label": "branches" }, h("thead", {}, head), body));
  /** @type {Set<string>} */ const chosen = new Set();
  const { spiking } = model.get("about"), keys = KEYS.slice(0, spiking ? KEYS.length : -1);
  const names = () => timesOf(model)?.lanes.map(({ name }) => name) ?? [];
  const train = () => model.send({ ask: ["run_both", names().filter((name) => chosen.has(name))] });
  const both = h("button", { class: "small", "data-do": "run_both", "data-explain": "time.run both", onclick: train }, "Run both");
  const press = () => {
    both.disabled = names().filter((name) => chosen.has(name)).length < 2;
    write(both, chosen.size > 2 ? `Run all ${chosen.size}` : "Run both");
  };
  const rowOf = (/** @type {string} */ name, /** @type {number} */ number) => {
    const select = () => { tick.checked ? chosen.add(name) : chosen.delete(name); press(); };
    const tick = h("input", { type: "checkbox", "aria-label": `select ${name}`, "data-explain": "time.select", onchange: select });
    tick.checked = chosen.has(name);
    const known = { "data-explain": "time.branch", "data-branch": name, "aria-label": `branch ${name}` };
    const button = h("button", { class: "quiet branch", ...known, onclick: () => choose(model, name) }, h("i"), h("span", {}, name));
    button.style.setProperty("--look", lookOfBranch(number).colour);
    return h("tr", { "data-name": name }, h("td", {}, tick), h("th", { scope: "row" }, button), ...keys.slice(1).map(() => h("td")));
  };
  function show() {
    const times = timesOf(model);
    if (!times) return;
    if (!head.childElementCount) head.replaceChildren(h("td"), ...keys.map((key, k) => h("th", { scope: "col", "data-explain": key }, times.columns[k])));
    const rows = () => /** @type {HTMLElement[]} */ ([...body.children]);
    if (rows().map((row) => row.dataset.name).join("\n") !== names().join("\n")) {
      for (const name of chosen) if (!names().includes(name)) chosen.delete(name);
      body.replaceChildren(...times.lanes.map(({ name, number }) => rowOf(name, number)));
    }
    rows().forEach((row, k) => {
      const here = times.lanes[k].name === times.here;
      row.classList.toggle("here", here);
      row.querySelector("button")?.setAttribute("aria-current", String(here));
      [...row.querySelectorAll("td")].slice(1).forEach((cell, column) => write(cell, times.rows[k][column + 1]));
    });
    press();
  }
  show();
  model.on("change:times", show);
  return { el, both, stop: () => model.off("change:times", show) };
}

/** How much memory the points take, and how much they may. @param {Model} model */
function makeMemory(model) {
  const used = h("span"), field = h("input", {
    type: "number", min: 0, step: "any", "aria-label": "memory in MB", "data-explain": "time.memory",
    onchange: () => { if (field.value) model.send({ ask: ["budget", 1e6 * +field.value] }); show(); },
    onkeydown: (/** @type {KeyboardEvent} */ { key }) => { if (key === "Escape") { show(true); } },
  });
  const el = h("label", { class: "last" }, used, field, "MB");
  function show(always = false) {
    const memory = timesOf(model)?.memory;
    if (!memory) return;
    const [taken, budget] = memory;
    write(used, `memory ${taken < 10 ? taken.toFixed(1) : readable(taken)} of`);
    if (always || document.activeElement !== field) field.value = String(+budget.toPrecision(4));
  }
  const told = () => show();
  show();
  model.on("change:times", told);
  return { el, stop: () => model.off("change:times", told) };
}
