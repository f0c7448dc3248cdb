// The stage, for a lecture hall: draw a digit, watch the network answer in slow motion, move two knobs.
import { fillScreen, h, icon, write } from "./dom.js";
import { FACES } from "./header.js";
import { makeMover } from "./knobs.js";
import { timeWords } from "./moment.js";
import { makePad } from "./pad.js";
import { makeRace } from "./race.js";
import { Raster } from "./raster.js";
import { holdOf } from "./rasterpanel.js";

/** @typedef {import("./types").Model} Model @typedef {import("./types").Knob} Knob @typedef {import("./types").Part} Part */

const SPEEDS = { 6: "6 s", 15: "15 s", 40: "40 s" }; // seconds for a whole sample

/**
 * The knobs that the stage begins with: threshold and membrane time constant of the first hidden layer, as far as it has
 * them; else the first others.
 * @param {{ name: string }[]} knobs @param {string[]} layers @returns {string[]} at most two
 */
export function firstKnobs(knobs, layers) {
  const names = knobs.map(({ name }) => name), wanted = ["v_th", "tau_mem"].map((name) => `${layers[0]}.${name}`).filter((name) => names.includes(name));
  return [...wanted, ...names.filter((name) => !wanted.includes(name))].slice(0, 2);
}

/** Two sliders; what each moves can be chosen. @param {Model} model @param {Raster} raster @returns {Part} */
function makeSliders(model, raster) {
  const { knobs, layers } = /** @type {import("./types").About} */ (model.get("about"));
  const hold = holdOf(model, raster), mover = makeMover(model, hold), chosen = firstKnobs(knobs, layers);
  const rows = new Map(knobs.map((knob) => [knob.name, mover.add(knob).el]));
  const slots = chosen.map((_, place) => {
    const which = h("select", { "aria-label": `knob ${place + 1}`, onchange: () => choose(place, which.value) },
      ...knobs.map(({ name }) => h("option", { value: name }, name)));
    return { which, el: h("div", { class: "slot" }, which) };
  });
  /** The other slider gets what this one had, if both would be the same. @param {number} place @param {string} name */
  function choose(place, name) {
    const other = chosen.indexOf(name);
    if (other >= 0) chosen[other] = chosen[place];
    chosen[place] = name;
    show();
    slots[place].which.blur(); // the space bar is the run's again
    /** @type {HTMLElement | null} */ (slots[place].el.closest(".stage"))?.focus({ preventScroll: true });
  }
  function show() {
    slots.forEach(({ which, el }, place) => {
      which.value = chosen[place];
      el.replaceChildren(which, /** @type {HTMLElement} */ (rows.get(chosen[place])));
    });
  }
  show();
  const el = h("div", { class: "sliders" }, ...slots.map((slot) => slot.el));
  el.hidden = !slots.length;
  return { el, stop: () => { hold.stop(); mover.stop(); } };
}

/** Play, a slider over the time, how fast. @param {Raster} raster @param {Model} model @returns {Part} */
function makeTime(raster, model) {
  const { player } = raster;
  const play = h("button", { onclick: () => player.toggle() }, icon("play"), h("span", {}, "Slow motion"));
  const slider = h("input", { type: "range", min: 0, step: 1, "aria-label": "moment", oninput: () => player.seek(+slider.value) });
  const speed = h("select", { "aria-label": "speed of the slow motion", title: "Time for the whole sample", onchange: () => { player.seconds = +speed.value; } },
    ...Object.entries(SPEEDS).map(([seconds, words]) => h("option", { value: seconds }, words)));
  const whole = h("button", { class: "quiet", "aria-label": "end slow motion", title: "Show the whole sample again (Escape)", onclick: () => player.end() }, icon("close"));
  function show() {
    const columns = player.columns(), at = player.column ?? columns;
    const label = player.playing ? "Hold" : "Slow motion";
    if (play.textContent !== label) play.replaceChildren(icon(player.playing ? "pause" : "play"), h("span", {}, label));
    play.title = `${label} (full stop)`;
    slider.max = String(columns);
    slider.value = String(at);
    slider.setAttribute("aria-valuetext", columns ? timeWords(raster.scene, at) : "");
    slider.style.setProperty("--full", `${(100 * at) / (columns || 1)}%`);
    whole.style.visibility = player.at === null ? "hidden" : "visible";
  }
  show();
  player.watch(show);
  model.on("change:scene", show);
  return { el: h("div", { class: "time" }, play, slider, speed, whole), stop: () => model.off("change:scene", show) };
}

/** One line in large type: where the run stands. @param {Model} model @param {HTMLElement} root @param {(() => void) | null} leave */
function makeHead(model, root, leave) {
  const transport = h("button", { class: "primary", "data-do": "transport", title: "Start, pause or resume (space bar)", onclick: () => model.send({ do: "transport" }) });
  const { words } = model.get("about").score, state = h("b", {}), accuracy = h("span", { class: "accuracy" }), said = h("span", { class: "said", role: "status" });
  const wide = h("button", {
    class: "quiet", "aria-label": "full screen", title: "Fill the screen; Escape returns",
    onclick: () => fillScreen(root.closest(".screen")),
  }, icon("wide"));
  const back = leave && h("button", { class: "quiet", "aria-label": "leave the stage", title: "Back to the dashboard (Escape)", onclick: leave }, icon("close"));
  function show() {
    const now = /** @type {import("./types").Running} */ (model.get("run"));
    const [label, picture] = FACES[/** @type {keyof typeof FACES} */ (now.transport)];
    if (transport.textContent !== label) transport.replaceChildren(icon(picture), h("span", {}, label));
    transport.disabled = now.transport === "nothing";
    write(state, now.state);
    write(accuracy, now.accuracy ? `${words} ${now.accuracy}` : "not tested yet");
    write(said, now.said.warning ? now.said.text : "");
    said.title = said.textContent ?? "";
    said.classList.toggle("warning", now.said.warning);
  }
  show();
  model.on("change:run", show);
  return { el: h("div", { class: "line" }, transport, state, accuracy, said, wide, back), stop: () => model.off("change:run", show) };
}

/**
 * @param {Model} model
 * @param {(() => void) | null} leave null: there is nothing to go back to
 * @returns {Part}
 */
export function makeStage(model, leave) {
  const raster = new Raster(model, null), root = h("section", { class: "stage", "aria-label": "Stage", tabindex: -1 });
  raster.el.className = "spikes fill";
  const head = makeHead(model, root, leave), pad = makePad(model), race = makeRace(model, raster), time = makeTime(raster, model), sliders = makeSliders(model, raster);
  root.append(head.el, h("div", { class: "acts" }, pad.el, h("div", { class: "film" }, raster.el, time.el), race.el), sliders.el);
  const typing = (/** @type {EventTarget | null} */ at) => at instanceof HTMLSelectElement || (at instanceof HTMLInputElement && at.type !== "range");
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey) return; // undo
    if (event.key === " " && !typing(event.target)) {
      event.preventDefault(); // buttons answer to Enter
      if (!event.repeat) model.send({ do: "transport" });
    } else if (typing(event.target) || raster.player.press(event)) return void event.stopPropagation();
    else if (event.key === "Escape" && leave) leave();
    event.stopPropagation();
  });
  root.addEventListener("keyup", (event) => {
    if (event.key === " " && !typing(event.target)) event.preventDefault(); // Firefox presses a button now
  });
  const fill = () => {
    if (document.fullscreenElement?.contains(root)) root.focus({ preventScroll: true });
  };
  document.addEventListener("fullscreenchange", fill);
  return {
    el: root,
    stop: () => {
      document.removeEventListener("fullscreenchange", fill);
      for (const part of [raster, head, pad, race, time, sliders]) part.stop();
    },
  };
}
