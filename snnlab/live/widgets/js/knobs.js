// The knobs: a name, a slider, a box for the exact number, the unit, and a button that resets it.
import { h, icon } from "./dom.js";
import { ask } from "./explain.js";
import { set } from "./fields.js";
import { faultOf, gridOfRange, makeGrid, shown } from "./grid.js";

/** @typedef {import("./types").Knob} Knob */

/**
 * One row. A value chosen here stands until the kernel has heard of it; then the kernel's stands. To compare values is not
 * enough: a slider that goes back and forth passes the values that the kernel is still talking of.
 * @param {Knob} knob
 * @param {(name: string, value: number, tried: boolean) => void} move
 * @param {{ grab: () => void, release: () => void }} hold told when the slider is taken hold of, and let go
 * @param {(range: number[] | null) => void} chooseRange called with the range that the user chose for the slider, or null for its own
 */
function makeRow(knob, move, hold, chooseRange) {
  const { name, label, unit, explain } = knob, words = { "data-explain": explain, "data-name": name };
  const spoken = [name, unit && `in ${unit}`].filter(Boolean).join(" ");
  let grid = makeGrid(knob);
  const slider = h("input", {
    ...words, type: "range", min: grid.bottom, max: grid.top, step: 1, "aria-label": spoken, oninput: () => choose(grid.value(+slider.value)),
    onpointerdown: hold.grab, onchange: hold.release, onkeydown: (/** @type {KeyboardEvent} */ event) => event.key.startsWith("Arrow") && !event.repeat && hold.grab(),
  });
  const field = h("input", {
    ...words, type: "number", step: "any", "aria-label": `${spoken}: exact value`, onchange: () => typed(),
    onblur: () => show(), onkeydown: (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && show(),
  });
  const back = h("button", {
    class: "quiet back", "data-explain": "knobs.reset", "data-name": `reset ${name} to ${shown(knob.value)}`, "aria-label": `reset ${name}`,
    onclick: () => { hold.grab(); choose(knob.value); hold.release(); },
  }, icon("back"));
  const editor = makeRangeEditor(knob, chooseRange);
  const opener = h("button", { class: "name quiet", ...words, "aria-expanded": "false", "aria-label": `${name}: edit its range`, onclick: () => {
    editor.el.hidden = !editor.el.hidden;
    opener.setAttribute("aria-expanded", String(!editor.el.hidden));
    if (!editor.el.hidden) editor.el.scrollIntoView?.({ block: "nearest" });
  } }, label);
  const el = h("div", { class: "knob", "data-knob": name }, opener, slider, field, h("span", { class: "unit" }, unit), back);
  let value = knob.value, pending = 0; // and the number of the move that the kernel has not heard of yet
  /** @type {number | null} */ let before = null; // a value is tried out

  /** @param {number} wanted @param {boolean} [tried] by the tour: shown, and not trained with */
  function choose(wanted, tried = false) {
    before = tried ? (before ?? value) : null;
    if (wanted === value) return show();
    value = wanted;
    pending = Infinity;
    move(name, wanted, tried);
    show();
  }
  function typed() {
    const wanted = field.value === "" ? NaN : +field.value;
    const refused = !Number.isFinite(wanted) || (knob.least !== null && wanted < knob.least);
    field.setCustomValidity(refused ? `${name} must be a number${knob.least === null ? "" : ` of at least ${knob.least}`}` : "");
    if (refused) return void field.reportValidity();
    hold.grab();
    choose(wanted);
    hold.release();
  }
  function show() {
    const at = grid.position(value);
    if (at > +slider.max) slider.max = String(at);
    if (at < +slider.min) slider.min = String(at);
    slider.value = String(at);
    slider.setAttribute("aria-valuetext", `${shown(value)} ${unit}`.trim());
    const full = (at - +slider.min) / (+slider.max - +slider.min || 1);
    slider.style.setProperty("--full", `${100 * full}%`);
    field.setCustomValidity("");
    field.value = String(shown(value));
    el.classList.toggle("moved", shown(value) !== shown(knob.value));
  }
  show();
  return {
    el, editor: editor.el, choose,
    now: () => value,
    /** The slider's range, or null for its own. @param {number[] | null} range */
    reach(range) {
      const usable = range && !faultOf(range, knob);
      grid = usable ? gridOfRange(range, knob.log) : makeGrid(knob);
      Object.assign(slider, { min: String(grid.bottom), max: String(grid.top) });
      editor.show(usable ? range : null);
      show();
    },
    /** No value is tried out any more, as this move says. @param {number} move */
    restore(move) {
      if (before === null) return;
      [value, before, pending] = [before, null, move];
      show();
    },
    /** The value chosen last was sent as this move. @param {number} move */
    sent(move) {
      pending = move;
    },
    /** What the kernel says, and the last move from here that it has heard of. @param {number} now @param {number} heard */
    follow(now, heard) {
      if (heard < pending || document.activeElement === field) return;
      if (Math.abs(now - value) <= 1e-5 * Math.abs(now) + 1e-12) return; // it shows six digits
      value = now;
      show();
    },
  };
}

/**
 * Three numbers below a row: where its slider begins and ends, and the step between two values.
 * @param {Knob} knob @param {(range: number[] | null) => void} choose
 */
function makeRangeEditor(knob, choose) {
  const { name, low, high, value, log } = knob, highest = Math.max(high, value);
  const own = [low, highest, log ? 10 ** 0.01 : (highest - low) / 400].map((end) => +end.toPrecision(3));
  const fields = ["from", "to", log ? "factor" : "step"].map((label) => h("input", {
    type: "number", step: "any", "aria-label": `${name}: ${label}`, "data-explain": "knobs.range", onchange: () => typed(),
  }));
  function typed() {
    const range = fields.map((field) => (field.value === "" ? NaN : +field.value)), fault = faultOf(range, knob);
    fields[2].setCustomValidity(fault && `${name}: ${fault}`);
    if (fault) return void fields[2].reportValidity();
    choose(range);
  }
  const back = h("button", { class: "quiet", "data-explain": "knobs.own range", "aria-label": `${name}: reset the range`, onclick: () => choose(null) }, icon("back"));
  const words = ["from", "to", log ? "\u00d7" : "step"];
  const el = h("div", { class: "range", role: "group", "aria-label": `range of ${name}` }, ...fields.map((field, k) => h("label", {}, h("span", {}, words[k]), field)), back);
  el.hidden = true;
  return {
    el,
    show: (/** @type {number[] | null} */ range) => {
      fields[2].setCustomValidity("");
      fields.forEach((field, k) => { field.value = String((range ?? own)[k]); });
    },
  };
}

/**
 * Sends the moves of rows, the first one at once and then at most one message a picture and knob, and lets the rows follow
 * the kernel.
 * @param {import("./types").Model} model
 * @param {{ grab: () => void, release: () => void }} hold
 */
export function makeMover(model, hold) {
  /** @type {Map<string, ReturnType<typeof makeRow>>} */ const rows = new Map();
  /** @type {Map<string, { value: number, tried: boolean }>} */ const waiting = new Map();
  const me = Math.random().toString(36).slice(2);
  let moves = 0;
  const send = () => {
    for (const [name, { value, tried }] of waiting) {
      model.send({ [tried ? "try" : "move"]: [name, value], stamp: [me, ++moves] });
      rows.get(name)?.sent(moves);
    }
    waiting.clear();
  };
  let paused = false;
  const again = () => {
    paused = waiting.size > 0;
    send();
    if (paused) requestAnimationFrame(again);
  };
  const move = (/** @type {string} */ name, /** @type {number} */ value, /** @type {boolean} */ tried) => {
    const first = !paused;
    waiting.set(name, { value, tried });
    if (first) send();
    if (first) requestAnimationFrame(again);
    paused = true;
  };
  const follow = () => {
    const { knobs: values, tried, heard } = /** @type {import("./types").Running} */ (model.get("run"));
    for (const [name, value] of Object.entries({ ...values, ...tried })) rows.get(name)?.follow(value, heard[me] ?? 0);
  };
  const reach = () => {
    const { ranges = {} } = model.get("ui");
    for (const [name, row] of rows) row.reach(ranges[name] ?? null);
  };
  model.on("change:run", follow);
  model.on("change:ui", reach);
  return {
    /** Make the row of a knob; it returns its element, and the one that edits its range. @param {Knob} knob */
    add(knob) {
      const row = makeRow(knob, move, hold, (range) => set(model, { ranges: withRange(model.get("ui").ranges, knob.name, range) }));
      rows.set(knob.name, row);
      reach();
      follow();
      return row;
    },
    now: (/** @type {string} */ name) => rows.get(name)?.now() ?? NaN,
    tryOut: (/** @type {string} */ name, /** @type {number} */ value) => rows.get(name)?.choose(value, true),
    stopTrying() {
      send(); // what still waits comes before
      model.send({ try: null, stamp: [me, ++moves] });
      for (const row of rows.values()) row.restore(moves);
    },
    stop: () => {
      model.off("change:run", follow);
      model.off("change:ui", reach);
    },
  };
}

/**
 * All rows under the names of their layers, in the order of the network.
 * @param {import("./types").Model} model
 * @param {{ grab: () => void, release: () => void }} hold
 * @returns {import("./types").Part & import("./types").Trial}
 */
export function makeKnobs(model, hold) {
  /** @type {Knob[]} */ const knobs = model.get("about").knobs;
  const mover = makeMover(model, hold);
  const groups = [...new Set(knobs.map(({ group }) => group))].map((group, k) => {
    const inside = knobs.filter((knob) => knob.group === group).map((knob) => mover.add(knob)).flatMap(({ el, editor }) => [el, editor]);
    return h("div", { class: "group", role: "group", "aria-label": group }, h("div", { class: "heading" }, h("h4", {}, group), k ? null : ask("Knobs")), ...inside);
  });
  const el = h("div", { class: "knobs" }, ...(groups.length ? groups : [h("p", { class: "hint" }, "This run has no knobs.")]));
  return { ...mover, el };
}

/** The ranges with another one for a knob, or without one. @param {Record<string, number[]>} ranges @param {string} name @param {number[] | null} range */
function withRange(ranges = {}, name, range) {
  const others = Object.fromEntries(Object.entries(ranges).filter(([other]) => other !== name));
  return range ? { ...others, [name]: range } : others;
}
