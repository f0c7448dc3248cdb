// A canvas that fills its element, in sharp pixels and in the colours of the page. Drawing it reads nothing of the page,
// so that a move of a slider lays out nothing before its time: size and colours are noted when they change.

/** @typedef {import("./types").Pen} Pen @typedef {import("./types").Pen["theme"]} Theme */

/** @type {Theme | null} */ let theme = null; // of all boards
const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", () => { theme = null; });

/** @type {Set<() => void>} */ const asked = new Set(); // what the next frame draws
/** @param {() => void} draw */
function atNextFrame(draw) {
  if (!asked.size) {
    requestAnimationFrame(() => {
      const all = [...asked];
      asked.clear();
      for (const one of all) one();
    });
  }
  asked.add(draw);
}

/** @param {HTMLElement} el @returns {Theme} */
function themeOf(el) {
  const { color, backgroundColor, fontFamily } = getComputedStyle(el);
  return { ink: color, paper: backgroundColor, font: fontFamily };
}

/**
 * @param {HTMLElement} el whose size is that of the canvas
 * @param {(pen: Pen, width: number, height: number) => void} paint
 * @param {() => string} label what it shows, in words
 * @param {string} [role]
 */
export function board(el, paint, label, role = "img") {
  const canvas = document.createElement("canvas"), pen = /** @type {Pen} */ (canvas.getContext("2d"));
  canvas.setAttribute("role", role);
  el.append(canvas);
  let width = 0, height = 0;

  const draw = () => {
    if (!width || !height) return;
    const ratio = window.devicePixelRatio || 1, [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== across || canvas.height !== down) [canvas.width, canvas.height] = [across, down];
    theme ??= themeOf(el);
    Object.assign(pen, { theme, size: { width, height }, explained: [] });
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    paint(pen, width, height);
    const words = label();
    if (canvas.getAttribute("aria-label") !== words) canvas.setAttribute("aria-label", words);
  };
  const redraw = () => atNextFrame(draw);
  new ResizeObserver(([{ contentRect }]) => {
    ({ width, height } = contentRect);
    redraw();
  }).observe(el);
  dark.addEventListener("change", redraw);
  return { canvas, redraw };
}
