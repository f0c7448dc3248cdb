// A canvas that fills its element, in sharp pixels and in the colours of the page.

/** @typedef {import("./types").Pen} Pen */

/**
 * @param {HTMLElement} el whose size is that of the canvas @param {(pen: Pen, width: number, height: number) => void} paint
 * @param {() => string} label what it shows, in words @param {string} [role]
 */
export function board(el, paint, label, role = "img") {
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", role);
  el.append(canvas);
  let asked = false;
  const draw = () => {
    asked = false;
    const width = el.clientWidth, height = el.clientHeight, ratio = window.devicePixelRatio || 1, style = getComputedStyle(el);
    const pixels = [Math.round(width * ratio), Math.round(height * ratio)];
    if (!width || !height) return;
    if (canvas.width !== pixels[0] || canvas.height !== pixels[1]) [canvas.width, canvas.height] = pixels;
    const pen = /** @type {Pen} */ (canvas.getContext("2d"));
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    Object.assign(pen, { theme: { ink: style.color, paper: style.backgroundColor, font: style.fontFamily }, size: { width, height }, explained: [] });
    paint(pen, width, height);
    canvas.setAttribute("aria-label", label());
  };
  const redraw = () => {
    if (!asked) requestAnimationFrame(draw);
    asked = true;
  };
  new ResizeObserver(redraw).observe(el);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  return { canvas, redraw };
}
