// The head of a map: start, pause, stop, progress, where the study stands, and what there is to say.
import { h, icon, write } from "./dom.js";
import { ask } from "./explain.js";
import { makeFacts } from "./header.js";

/** What the transport button says in each state, and its icon. */
export const SAYS = /** @type {Record<string, readonly [string, "play" | "pause"]>} */ ({
  waiting: ["Start", "play"], running: ["Pause", "pause"], pausing: ["Pausing", "pause"], paused: ["Resume", "play"],
  stopped: ["Stopped", "play"], error: ["Resume", "play"], done: ["Done", "play"],
});

/** @param {import("./types").Model} model */
export function makeMapHead(model) {
  const state = () => /** @type {import("./types").MapState} */ (model.get("state"));
  const act = (/** @type {string} */ name) => () => model.send({ do: name });
  const transport = h("button", { class: "primary", "data-explain": "map.start", "data-do": "transport", onclick: act("transport") });
  const stop = h("button", { "data-explain": "map.stop", "aria-label": "Stop", "data-do": "stop", onclick: act("stop") }, icon("stop"), h("span", {}, "Stop"));
  const range = { role: "progressbar", "aria-label": "progress of the study", "aria-valuemin": 0, "aria-valuemax": 100 };
  const bar = h("div", { class: "bar", "data-explain": "map.progress", ...range }, h("i"));
  const facts = makeFacts(), said = h("span", { class: "said", role: "status" });
  const row = h("div", { class: "row" }, h("div", { class: "buttons" }, transport, stop), facts.el, h("div", { class: "buttons" }, ask("Study")));
  const el = h("header", {}, row, bar, h("div", { class: "line" }, said));
  const show = () => {
    const now = state(), [label, picture] = SAYS[now.state] ?? SAYS.waiting;
    if (transport.textContent !== label) transport.replaceChildren(icon(picture), h("span", {}, label));
    transport.setAttribute("aria-label", label);
    transport.disabled = ["done", "pausing", "stopped"].includes(now.state);
    stop.disabled = !["running", "paused", "waiting"].includes(now.state);
    bar.setAttribute("aria-valuenow", String(Math.round(100 * now.progress)));
    bar.style.setProperty("--full", `${100 * now.progress}%`);
    facts.show(now.facts, now.fact_keys);
    write(said, now.said.text);
    said.title = now.said.text;
    said.classList.toggle("warning", now.said.warning);
  };
  show();
  model.on("change:state", show);
  return { el, stop: () => model.off("change:state", show) };
}
