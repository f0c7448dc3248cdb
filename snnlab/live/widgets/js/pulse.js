// Back-pressure: Python counts `ping` up with a frame; it comes back as `pong` once the browser has drawn.
// A hidden tab draws nothing, so its pongs stop and Python sends next to nothing.
export default {
  initialize({ model }) {
    const answer = () => {
      const ping = model.get("ping");
      requestAnimationFrame(() => model.send({ pong: ping }));
    };
    model.on("change:ping", answer);
    model.send({ hello: true });
    answer();
  },
  render() {},
};
