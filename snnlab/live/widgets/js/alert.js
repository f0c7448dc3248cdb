// A notification of the browser when the run ends, diverges or falls silent, if the user wants one.

/** Ask the user, if nobody has; returns whether notifications may be shown. */
export const mayAlert = async () => "Notification" in window && (await Notification.requestPermission()) === "granted";

/**
 * What there is to tell about a change of the run, or an empty text.
 * @param {import("./types").Running} before @param {import("./types").Running} now
 */
export function newsOf(before, now) {
  if (now.state !== before.state && ["done", "error"].includes(now.state)) return now.state;
  const silent = (/** @type {import("./types").Running} */ { said }) => / silent/.test(said.text);
  return silent(now) && !silent(before) ? "silent" : "";
}

/** @param {import("./types").Model} model */
export function makeAlert(model) {
  let before = model.get("run");
  const tell = () => {
    const now = model.get("run"), news = newsOf(before, now);
    before = now;
    if (news && model.get("ui").alert && Notification.permission === "granted")
      new Notification(`snnlab: ${news}`, { body: now.said.text || now.facts.join(", ") });
  };
  model.on("change:run", tell);
  return { stop: () => model.off("change:run", tell) };
}
