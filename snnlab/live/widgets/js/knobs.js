// The knobs: a name, a slider, a box for the exact number, the unit, and a button that resets it.
import { h, icon } from "./dom.js";
import { makeGrid, shown } from "./grid.js";

/** @typedef {import("./types").Knob} Knob */

/**
 * One row. A value chosen here stands until the kernel has heard of it; then the kernel's stands. To compare values is not
 * enough: a slider that goes back and forth passes the values that the kernel is still talking of.
 * @param {Knob} knob
 * @param {(name: string, value: number) => void} move
 * @param {{ grab: () => void, release: () => void }} hold told when the slider is taken hold of, and let go
 */
function makeRow(knob, move, hold) {
  const { name, label, unit, help } = knob, grid = makeGrid(knob), spoken = [name, unit && `in ${unit}`].filter(Boolean).join(" ");
  const slider = h("input", {
    type: "range", min: grid.bottom, max: grid.top, step: 1, "aria-label": spoken, oninput: () => choose(grid.value(+slider.value)),
    onpointerdown: hold.grab, onchange: hold.release, onkeydown: (/** @type {KeyboardEvent} */ event) => event.key.startsWith("Arrow") && !event.repeat && hold.grab(),
  });
  const field = h("input", {
    type: "number", step: "any", "aria-label": `${spoken}: exact value`, onchange: () => typed(),
    onblur: () => show(), onkeydown: (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && show(),
  });
  const back = h("button", {
    class: "quiet", title: `Reset ${name} to ${shown(knob.value)}`, "aria-label": `reset ${name}`, onclick: () => { hold.grab(); choose(knob.value); hold.release(); },
  }, icon("back"));
  const el = h("div", { class: "knob", "data-knob": name }, h("span", { class: "name", title: help }, label), slider, field, h("span", { class: "unit" }, unit), back);
  let value = knob.value, pending = 0; // and the number of the move that the kernel has not heard of yet

  /** @param {number} wanted */
  function choose(wanted) {
    if (wanted === value) return show();
    value = wanted;
    pending = Infinity;
    move(name, wanted);
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
    el,
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
 * All rows under the names of their layers, in the order of the network.
 * @param {import("./types").Model} model
 * @param {{ grab: () => void, release: () => void }} hold
 * @returns {import("./types").Part}
 */
export function makeKnobs(model, hold) {
  /** @type {Map<string, number>} */ const waiting = new Map();
  const me = Math.random().toString(36).slice(2);
  let moves = 0;
  const send = () => {
    for (const move of waiting) {
      model.send({ move, stamp: [me, ++moves] });
      rows.get(move[0])?.sent(moves);
    }
    waiting.clear();
  };
  let paused = false;
  const again = () => {
    paused = waiting.size > 0;
    send();
    if (paused) requestAnimationFrame(again);
  };
  const move = (/** @type {string} */ name, /** @type {number} */ value) => {
    const first = !paused;
    waiting.set(name, value);
    if (first) send(); // the first one at once, then at most one message a picture and knob
    if (first) requestAnimationFrame(again);
    paused = true;
  };
  /** @type {Knob[]} */ const knobs = model.get("about").knobs;
  const rows = new Map(knobs.map((knob) => [knob.name, makeRow(knob, move, hold)]));
  const groups = [...new Set(knobs.map(({ group }) => group))].map((group) => {
    const inside = knobs.filter((knob) => knob.group === group).map(({ name }) => /** @type {any} */ (rows.get(name)).el);
    return h("div", { class: "group", role: "group", "aria-label": group }, h("h4", {}, group), ...inside);
  });
  const el = h("div", { class: "knobs" }, ...(groups.length ? groups : [h("p", { class: "hint" }, "This run has no knobs.")]));
  const follow = () => {
    const { knobs: values, heard } = /** @type {import("./types").Running} */ (model.get("run"));
    for (const [name, value] of Object.entries(values)) rows.get(name)?.follow(value, heard[me] ?? 0);
  };
  follow();
  model.on("change:run", follow);
  return { el, stop: () => { model.off("change:run", follow); } };
}
