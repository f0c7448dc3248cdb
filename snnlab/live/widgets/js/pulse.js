// Back-pressure: Python increments `ping` with every picture; `pong` returns it once the browser has drawn.
// A hidden tab draws nothing, so it sends no pong, and Python then sends almost nothing.
export default {
  initialize({ model }) {
    const answer = () => {
      const ping = model.get("ping");
      requestAnimationFrame(() => model.send({ pong: ping }));
    };
    model.on("change:ping", answer);
    answer();
  },
  // By now the page has all widgets of the dashboard. What was sent while it made them is lost to it.
  render({ model }) {
    model.send({ hello: true });
  },
};
