// The screen: head, knobs, raster, curves, tabs. What the kernel sends stands in the widget's traits; what the user does
// is sent as messages, and acts when the kernel answers.
import { makeAlert, mayAlert } from "./alert.js";
import { makeBranches } from "./branches.js";
import { mainOf, makeCurves, othersOf } from "./curves.js";
import { makeCurvesPanel } from "./curvespanel.js";
import { fillScreen, h } from "./dom.js";
import { ask, makeExplainer } from "./explain.js";
import { makeErrors } from "./errors.js";
import { panel, set } from "./fields.js";
import { makeHeader } from "./header.js";
import { makeHealth } from "./health.js";
import { makeKnobs } from "./knobs.js";
import { makeNeuron } from "./neuron.js";
import { answerPings, greet } from "./pings.js";
import { holdOf, makeRasterPanel } from "./rasterpanel.js";
import { makeRunTab } from "./runtab.js";
import { makeStage } from "./stage.js";
import { makeTabs } from "./tabs.js";
import { makeTour } from "./tour.js";
import { makeUndo } from "./undo.js";
import { makeVoltages } from "./voltages.js";
import { makeWeights } from "./weights.js";

/** @typedef {import("./types").Model} Model @typedef {import("./types").Part} Part */

const TABS = { neuron: "Look inside", health: "Health", errors: "Errors", weights: "Weights" }; // of parts shown alone

/** A part that may be higher than its place: the keyboard can scroll it. @param {string} name @param {Part} part */
const scrolling = (name, part) => {
  part.el.classList.add("fill");
  Object.assign(part.el, { tabIndex: 0, role: "region", ariaLabel: name });
  return part;
};

/** All tabs of a run. @param {Model} model @returns {import("./tabs.js").Tab[]} */
function tabsOf(model) {
  const about = /** @type {import("./types").About} */ (model.get("about"));
  /** @type {[string, import("./tabs.js").Tab][]} each after the panel that it belongs to */
  const tabs = [
    ["curves", { name: "Learn", explain: "tab.Learn", make: () => scrolling("Learn", makeCurves(model, othersOf(about))) }],
    ["raster", { name: "Look inside", explain: "tab.Look inside", make: () => scrolling("Look inside", makeNeuron(model)) }],
    ["health", { name: "Health", explain: "tab.Health", make: () => scrolling("Health", makeHealth(model)) }],
    ["raster", { name: "Errors", explain: "tab.Errors", make: () => scrolling("Errors", makeErrors(model)) }],
    ["raster", { name: "Weights", explain: "tab.Weights", make: () => makeWeights(model) }],
  ];
  const shown = tabs.filter(([panelName]) => about.show.includes(panelName)).map(([, tab]) => tab);
  const time = { name: "Time", explain: "tab.Time", make: () => scrolling("Time", makeBranches(model)) };
  return [...shown, time, { name: "Run", explain: "tab.Run", make: () => makeRunTab(model) }];
}

/** One part by itself, for a dashboard that somebody builds. @param {Model} model @param {string} name @returns {Part} */
function makeAlone(model, name) {
  const about = /** @type {import("./types").About} */ (model.get("about"));
  /** @type {Record<string, () => Part>} */ const makers = {
    head: () => makeHeader(model, []),
    knobs: () => makeKnobs(model, { grab() {}, release() {} }),
    raster: () => makeRasterPanel(model, () => {}),
    curves: () => makeCurves(model, [...mainOf(about), ...othersOf(about)], true),
    time: () => makeBranches(model),
    neuron: () => makeNeuron(model),
    voltages: () => makeVoltages(model),
    health: () => makeHealth(model),
    errors: () => makeErrors(model),
    weights: () => makeWeights(model),
    run: () => makeRunTab(model),
    stage: () => makeStage(model, null),
  };
  return makers[name]();
}

/** @param {Model} model @param {HTMLElement} el @returns {() => void} what ends it */
function buildAlone(model, el) {
  const { only, explained } = /** @type {import("./types").About} */ (model.get("about")), tab = /** @type {Record<string, string>} */ (TABS)[only ?? ""];
  if (tab) set(model, { tab }); // the kernel looks at what is seen
  const part = makeAlone(model, /** @type {string} */ (only));
  if (only !== "stage") part.el.classList.add("fill");
  const why = only === "stage" || part.el.querySelector(".ask") ? null : h("div", { class: "fields" }, ask(/** @type {string} */ (only)));
  const root = h("div", { class: `screen alone ${only}`, "data-lm-suppress-shortcuts": "true" }, why, part.el);
  el.replaceChildren(h("div", { class: "frame" }, root));
  const explainer = makeExplainer(root, explained);
  return () => { explainer.stop(); part.stop(); };
}

/** @param {Model} model @param {HTMLElement} el @returns {() => void} what ends it */
function build(model, el) {
  const { show, explained } = /** @type {import("./types").About} */ (model.get("about"));
  const tabs = makeTabs(tabsOf(model), () => model.get("ui").tab, (tab) => set(model, { tab }));
  const raster = show.includes("raster") ? makeRasterPanel(model, () => set(model, { tab: "Look inside" })) : null;
  const main = show.includes("curves") ? makeCurvesPanel(model) : null;
  const hold = holdOf(model, raster?.raster), knobs = makeKnobs(model, hold), voltages = raster && makeVoltages(model);
  voltages?.el.classList.add("voltages");
  const root = h("div", { class: "screen", "data-lm-suppress-shortcuts": "true" });
  const alert = makeAlert(model);
  /** @type {Part | null} */ let stage = null; // made when it is first seen
  const tour = makeTour(model, root, knobs, hold);
  const header = makeHeader(model, [
    { name: "tour", explain: "head.tour", icon: "tour", act: () => tour.toggle(), pressed: () => tour.open() },
    ...(raster ? [{
      name: "stage", explain: "head.stage", icon: /** @type {const} */ ("stage"),
      act: () => { set(model, { stage: true }); stage?.el.focus({ preventScroll: true }); }, pressed: () => Boolean(model.get("ui").stage),
    }] : []),
    {
      name: "alert", explain: "head.alert", icon: "bell",
      act: async () => {
        set(model, { alert: !model.get("ui").alert && (await mayAlert()) });
      },
      pressed: () => Boolean(model.get("ui").alert),
    },
    {
      name: "presentation", explain: "head.presentation", icon: "large",
      act: () => set(model, { large: !model.get("ui").large }), pressed: () => Boolean(model.get("ui").large),
    },
    {
      name: "full screen", explain: "head.full screen", icon: "wide",
      act: () => fillScreen(root),
      pressed: () => document.fullscreenElement === root,
    },
  ]);
  const back = makeUndo(model), words = h("p", { class: "words" });
  const left = panel("left", "Knobs", knobs.el, voltages && voltages.el), right = h("div", { class: "right" }, main && main.el, tabs.el);
  const body = h("div", { class: "body" }, left, raster && raster.el, right);
  const frame = h("div", { class: "frame" }, root);
  header.buttons.append(back.el);
  root.prepend(header.el, body, words);
  const explainer = makeExplainer(root, explained);
  root.classList.toggle("bare", !raster && !main);
  root.addEventListener("keydown", (event) => {
    event.stopPropagation(); // the keys of the notebook are others
    const typing = event.target instanceof HTMLInputElement && event.target.type !== "range";
    if (typing || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    model.send({ do: event.shiftKey ? "redo" : "undo" });
    event.preventDefault();
  });
  const leave = () => {
    set(model, { stage: false });
    /** @type {HTMLElement | null} */ (header.el.querySelector("[aria-label=stage]"))?.focus({ preventScroll: true });
  };
  const look = () => {
    const onStage = Boolean(model.get("ui").stage && raster);
    frame.classList.toggle("large", Boolean(model.get("ui").large) && !onStage);
    if (onStage && !stage) root.append((stage = makeStage(model, leave)).el);
    for (const part of [header.el, body]) part.hidden = onStage;
    if (stage) stage.el.hidden = !onStage;
    tabs.show();
    tour.show();
    header.show();
  };
  const say = () => { words.textContent = model.get("curves").words ?? ""; };
  say();
  model.on("change:ui", look);
  model.on("change:curves", say);
  el.replaceChildren(frame);
  look(); // where it stands, because the card of the tour goes beside something
  return () => {
    for (const part of [tour, stage, explainer, hold, back, alert, header, knobs, voltages, raster, main, tabs]) part?.stop();
    model.off("change:ui", look);
    model.off("change:curves", say);
  };
}

export default {
  /** @param {{ model: Model }} page */
  initialize({ model }) {
    answerPings(model);
  },
  /** @param {{ model: Model, el: HTMLElement }} page */
  render({ model, el }) {
    el.classList.add("snnlab"); // marimo does not know the classes of ipywidgets
    const make = () => (model.get("about").only ? buildAlone(model, el) : build(model, el));
    let stop = () => {};
    const rebuild = () => {
      if (!model.get("run").view) return; // nothing is known of the run yet
      stop();
      stop = make();
    };
    const begin = () => {
      if (!el.firstChild) rebuild();
    };
    rebuild();
    model.on("change:run", begin);
    model.on("change:about", rebuild); // another structure after a restart
    const part = greet(model, el);
    return () => {
      stop();
      model.off("change:run", begin);
      model.off("change:about", rebuild);
      part();
    };
  },
};
