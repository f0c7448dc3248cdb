// The head of the screen: transport, progress, where the run stands, and one line that says what is wrong or happened.
import { h, icon, write } from "./dom.js";

/** @typedef {import("./types").Running} Running */

const FACES = /** @type {const} */ ({ start: ["Start", "play"], pause: ["Pause", "pause"], resume: ["Resume", "play"], nothing: ["Done", "play"] });

/**
 * @param {import("./types").Model} model
 * @param {{ name: string, title: string, act: () => void, icon: "wide" | "large" | "bell" | "stage", pressed: () => boolean }[]} views buttons that change how the screen looks
 * @returns {import("./types").Part & { buttons: HTMLElement, show: () => void }}
 */
export function makeHeader(model, views) {
  /** @returns {Running} */
  const run = () => model.get("run");
  const act = (/** @type {string} */ name) => () => model.send({ do: name });
  const button = (/** @type {string} */ name, /** @type {string} */ label, /** @type {string} */ title, /** @type {Parameters<typeof icon>[0]} */ picture) =>
    h("button", { title, "data-do": name, "aria-label": name === "transport" ? null : label, onclick: act(name) }, icon(picture), h("span", {}, label)); // there may be no room for the words
  const transport = button("transport", "Start", "Start, pause or resume", "play");
  transport.classList.add("primary");
  const step = button("step", "Step", "Take one optimizer step, then pause", "step");
  const chunk = button("chunk", "Chunk", "Train for about a tenth of a second, then pause", "chunk");
  const stop = button("stop", "Stop", "End the run; Start continues from there", "stop");
  const reset = button("reset", "Reset", "Begin again with the same weights; knobs stay", "reset");
  const seed = button("new_seed", "New seed", "Begin again with new weights; knobs stay", "dice");
  const pace = h("select", {
    "aria-label": "speed", title: "Steps a second, at most", "data-set": "pace", onchange: () => model.send({ ask: ["pace", pace.value ? +pace.value : null] }),
  }, h("option", { value: "" }, "full speed"), ...model.get("about").paces.map((/** @type {number} */ steps) => h("option", { value: steps }, `${steps} steps/s`)));
  const looks = views.map(({ name, title, act: change, icon: picture }) => h("button", { class: "quiet", title, "aria-label": name, onclick: change }, icon(picture)));
  const bar = h("div", { class: "bar", role: "progressbar", "aria-label": "progress of the run", "aria-valuemin": 0, "aria-valuemax": 100 }, h("i"));
  const facts = h("div", { class: "facts" });
  const said = h("span", { class: "said", role: "status" }), repair = h("button", { "data-do": "repair", title: "Do what the diagnosis proposes", onclick: act("repair") });
  const trace = h("details", { class: "trace" }, h("summary", {}, "traceback"), h("pre"));
  const buttons = h("div", { class: "buttons" }, transport, step, chunk, stop, reset, seed, pace);
  const el = h("header", {},
    h("div", { class: "row" }, buttons, facts, h("div", { class: "buttons" }, ...looks)),
    bar, h("div", { class: "line" }, said, repair, trace));

  function show() {
    const now = run(), idle = now.transport === "start" || now.transport === "resume";
    const [label, picture] = FACES[/** @type {keyof typeof FACES} */ (now.transport)];
    if (transport.textContent !== label) transport.replaceChildren(icon(picture), h("span", {}, label));
    transport.disabled = now.transport === "nothing";
    step.disabled = chunk.disabled = !idle;
    stop.disabled = !["pause", "resume"].includes(now.transport);
    const chosen = now.pace === null ? "" : String(now.pace);
    if (![...pace.options].some(({ value }) => value === chosen)) pace.append(h("option", { value: chosen }, `${chosen} steps/s`));
    pace.value = chosen;
    bar.setAttribute("aria-valuenow", String(Math.round(100 * now.progress)));
    bar.style.setProperty("--full", `${100 * now.progress}%`);
    if (facts.textContent !== now.facts.join("")) facts.replaceChildren(...now.facts.map((words, k) => h(k ? "span" : "b", {}, words)));
    write(said, now.said.text);
    said.title = now.said.text; // all of it, where there is no room
    said.classList.toggle("warning", now.said.warning);
    write(repair, now.repair);
    repair.style.visibility = now.repair ? "visible" : "hidden";
    trace.hidden = !now.trace;
    write(/** @type {HTMLElement} */ (trace.querySelector("pre")), now.trace);
    looks.forEach((look, k) => look.setAttribute("aria-pressed", String(views[k].pressed())));
  }
  show();
  model.on("change:run", show);
  return { el, buttons, show, stop: () => model.off("change:run", show) };
}
