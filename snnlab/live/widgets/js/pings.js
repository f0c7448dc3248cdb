// What every page tells the kernel: that it was opened, and that a picture was drawn, before the next one is sent.

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

/** Say that a page was opened, and show when the kernel has ended; returns what stops it. @param {Model} model @param {HTMLElement} el */
export function greet(model, el) {
  const end = () => el.classList.add("jupyter-widgets-disconnected"); // anywidget keeps the view from doing it itself
  model.on("comm_live_update", end); // the Jupyter kernel has ended
  model.send({ hello: true }); // what was sent while the page made the widget is lost to it
  return () => model.off("comm_live_update", end);
}
