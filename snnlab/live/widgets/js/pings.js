// Back-pressure: the kernel sends the next picture when the last one was drawn.

/** @typedef {import("./types").Model} Model */

/** `ping` grows with every picture; `pong` returns it once the browser has drawn. @param {Model} model */
export function answerPings(model) {
  const answer = () => {
    const ping = model.get("ping");
    requestAnimationFrame(() => model.send({ pong: ping })); // a hidden tab draws nothing, so it sends none
  };
  model.on("change:ping", answer);
  answer();
}
