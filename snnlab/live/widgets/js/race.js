// The scores of the classes as bars, which race while the sample is played; who leads stands above in large type.
import { h, write } from "./dom.js";
import { lookOf } from "./draw.js";
import { raceOf, races } from "./moment.js";
import { readable } from "./numbers.js";

/** @typedef {import("./types").Model} Model @typedef {import("./types").Scene} Scene @typedef {import("./types").Frame} Frame */

/** One bar. @param {number} k of its class */
function makeLane(k) {
  const name = h("span", { class: "name" }), bar = h("i"), score = h("span", { class: "score" });
  bar.style.background = lookOf(k).colour;
  return { name, bar, score, el: h("div", { class: "lane" }, name, h("div", { class: "track" }, bar), score) };
}

/**
 * @param {Model} model @param {import("./raster.js").Raster} raster whose moment is shown
 * @returns {import("./types").Part}
 */
export function makeRace(model, raster) {
  const winner = h("div", { class: "winner" }), verdict = h("div", { class: "verdict" }), lanes = h("div", { class: "lanes", role: "img" });
  const title = h("div", { class: "what" });
  /** @type {Map<number, ReturnType<typeof makeLane>>} */ let made = new Map();
  let asked = 0;

  /** @param {Scene} scene @param {Frame} frame */
  function say({ classes, label, task }, { prediction, target }) {
    const { moment } = raster;
    if (task !== "label" && !(moment && races(task))) {
      write(winner, target?.lines[0] ?? "\u2013");
      return write(verdict, target?.lines[1] ?? "");
    }
    const leads = moment ? moment.leads : prediction, isOver = task === "label" && (!moment || moment.atEnd);
    write(winner, classes[leads] ?? "\u2013");
    const right = label === null || !isOver ? "" : leads === label ? " \u2713 right" : " \u2717 wrong";
    write(verdict, `${moment ? `leads after ${moment.words}` : "is the answer"}${right}`);
    if (leads < 0) write(verdict, `no class leads after ${moment?.words}`);
  }
  function show() {
    asked = 0;
    const scene = /** @type {Scene} */ (model.get("scene")), frame = /** @type {Frame} */ (model.get("frame"));
    if (!frame.readout) return;
    const { bars, zero } = raceOf(scene, frame, raster.moment);
    if (bars.some(({ k }) => !made.has(k)) || made.size !== bars.length) {
      made = new Map(bars.map(({ k }) => [k, makeLane(k)]));
      lanes.replaceChildren(...[...made.values()].map(({ el }) => el));
    }
    for (const { k, name, score, share, leads } of bars) {
      const lane = /** @type {ReturnType<typeof makeLane>} */ (made.get(k));
      write(lane.name, name);
      write(lane.score, readable(score, 2));
      lane.bar.style.width = `${100 * share}%`;
      lane.el.classList.toggle("leads", leads && races(scene.task));
    }
    lanes.style.setProperty("--zero", `${100 * zero}%`);
    lanes.ariaLabel = `Scores: ${[...bars].sort((a, b) => b.score - a.score).map(({ name, score }) => `${name} ${readable(score, 2)}`).join(", ")}`;
    write(title, `score: readout, ${frame.moments.words}${bars.length < scene.classes.length ? `; ${bars.length} of ${scene.classes.length}` : ""}`);
    say(scene, frame);
  }
  const soon = () => { asked ||= requestAnimationFrame(show); };
  show();
  raster.player.watch(soon);
  model.on("change:frame", soon);
  return {
    el: h("div", { class: "race" }, h("div", { class: "head" }, winner, verdict), lanes, title),
    stop: () => { cancelAnimationFrame(asked); model.off("change:frame", soon); },
  };
}
