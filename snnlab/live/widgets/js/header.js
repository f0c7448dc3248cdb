// The head of the screen: transport, progress, where the run stands, and one line that says what is wrong or happened.
import { h, icon, write } from "./dom.js";
import { ask } from "./explain.js";
import { timesOf } from "./scrubber.js";

/** @typedef {import("./types").Running} Running */

/** What the transport button says, and its icon. */
export const FACES = /** @type {const} */ ({ start: ["Start", "play"], pause: ["Pause", "pause"], resume: ["Resume", "play"], nothing: ["Done", "play"] });

/**
 * @param {import("./types").Model} model
 * @param {{ name: string, explain: string, act: () => void, icon: "wide" | "large" | "bell" | "stage" | "tour", pressed: () => boolean }[]} views buttons that change how the screen looks
 * @returns {import("./types").Part & { buttons: HTMLElement, show: () => void }}
 */
export function makeHeader(model, views) {
  /** @returns {Running} */
  const run = () => model.get("run");
  const act = (/** @type {string} */ name) => () => model.send({ do: name });
  const button = (/** @type {string} */ name, /** @type {string} */ label, /** @type {string} */ explain, /** @type {Parameters<typeof icon>[0]} */ picture) =>
    h("button", { "data-explain": explain, "aria-label": label, "data-do": name, onclick: act(name) }, icon(picture), h("span", {}, label));
  const transport = button("transport", "Start", "head.start", "play");
  transport.classList.add("primary");
  const step = button("step", "Step", "head.step", "step");
  const chunk = button("chunk", "Chunk", "head.chunk", "chunk");
  const stop = button("stop", "Stop", "head.stop", "stop");
  const reset = button("reset", "Reset", "head.reset", "reset");
  const seed = button("new_seed", "New seed", "head.new seed", "dice");
  const pace = h("select", {
    "aria-label": "speed", "data-explain": "head.speed", "data-set": "pace",
    onchange: () => model.send({ ask: ["pace", pace.value ? +pace.value : null] }),
  }, h("option", { value: "" }, "full speed"), ...model.get("about").paces.map((/** @type {number} */ steps) => h("option", { value: steps }, `${steps} steps/s`)));
  const looks = views.map(({ name, explain, act: change, icon: picture }) =>
    h("button", { class: "quiet", "data-explain": explain, "aria-label": name, onclick: change }, icon(picture)));
  const range = { role: "progressbar", "aria-label": "progress of the run", "aria-valuemin": 0, "aria-valuemax": 100 };
  const bar = h("div", { class: "bar", "data-explain": "head.progress", ...range }, h("i"));
  const facts = makeFacts();
  const said = h("span", { class: "said", role: "status" });
  const repair = h("button", { "data-do": "repair", "data-explain": "head.repair", onclick: act("repair") });
  const now_ = h("button", { "data-do": "now", "data-explain": "time.back to now", onclick: act("now") }, icon("back"), "Back to now");
  const onward = h("button", { class: "primary", "data-do": "go_on", "data-explain": "time.go on from here", onclick: act("go_on") }, icon("play"), "Go on from here");
  const note = { class: "watched", role: "note", tabindex: 0, "data-explain": "head.no validation part" };
  const watched = model.get("about").part === "val" ? null : h("span", note, "test part watched");
  const trace = h("details", { class: "trace" }, h("summary", { "data-explain": "head.traceback" }, "traceback"), h("pre"));
  const buttons = h("div", { class: "buttons" }, transport, step, chunk, stop, reset, seed, pace);
  const el = h("header", {},
    h("div", { class: "row" }, buttons, facts.el, h("div", { class: "buttons" }, ...looks, ask("Run"))),
    bar, h("div", { class: "line" }, said, now_, onward, repair, trace, watched));

  function show() {
    const now = run(), idle = now.transport === "start" || now.transport === "resume";
    const [label, picture] = FACES[/** @type {keyof typeof FACES} */ (now.transport)];
    if (transport.textContent !== label) transport.replaceChildren(icon(picture), h("span", {}, label));
    transport.setAttribute("aria-label", label);
    transport.disabled = now.transport === "nothing";
    step.disabled = chunk.disabled = !idle;
    stop.disabled = !["pause", "resume"].includes(now.transport);
    const chosen = now.pace === null ? "" : String(now.pace);
    if (![...pace.options].some(({ value }) => value === chosen)) pace.append(h("option", { value: chosen }, `${chosen} steps/s`));
    pace.value = chosen;
    bar.setAttribute("aria-valuenow", String(Math.round(100 * now.progress)));
    bar.style.setProperty("--full", `${100 * now.progress}%`);
    facts.show(now.facts, now.fact_keys);
    write(said, now.said.text);
    said.title = now.said.text; // all of it, where there is no room
    said.classList.toggle("warning", now.said.warning);
    write(repair, now.repair);
    repair.style.visibility = now.repair ? "visible" : "hidden";
    now_.hidden = !timesOf(model)?.behind;
    onward.hidden = !timesOf(model)?.goes_on;
    trace.hidden = !now.trace;
    write(/** @type {HTMLElement} */ (trace.querySelector("pre")), now.trace);
    looks.forEach((look, k) => look.setAttribute("aria-pressed", String(views[k].pressed())));
  }
  show();
  const events = ["change:run", "change:times"];
  for (const event of events) model.on(event, show);
  return { el, buttons, show, stop: () => { for (const event of events) model.off(event, show); } };
}

/** Where the run stands, in words: one stop of the Tab key, within which the arrow keys turn to the next one. */
export function makeFacts() {
  const all = () => /** @type {HTMLElement[]} */ ([...el.children]);
  const el = h("div", { class: "facts", role: "group", "aria-label": "where the run stands", onkeydown: (/** @type {KeyboardEvent} */ event) => {
    const turn = { ArrowRight: 1, ArrowLeft: -1 }[event.key], facts = all();
    if (!turn) return;
    const now = facts.indexOf(/** @type {HTMLElement} */ (document.activeElement)), next = (now + turn + facts.length) % facts.length;
    facts.forEach((fact, k) => (fact.tabIndex = k === next ? 0 : -1));
    facts[next].focus();
    event.preventDefault();
    event.stopPropagation();
  } });
  return {
    el,
    /** Words change in place, so that the one that is explained stays. @param {string[]} words @param {string[]} keys */
    show(words, keys) {
      if (all().map((fact) => fact.dataset.explain).join() !== keys.join())
        el.replaceChildren(...keys.map((key, k) => h(k ? "span" : "b", { "data-explain": key, tabindex: k ? -1 : 0 })));
      all().forEach((fact, k) => write(fact, words[k]));
    },
  };
}
