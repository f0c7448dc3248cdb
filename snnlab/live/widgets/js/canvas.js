// A canvas that fills its element, redraws when necessary, and follows the theme.
import { STYLE } from "./style.js";
import { SvgPen } from "./svgpen.js";

/** How to draw what a canvas shows as SVG. @type {WeakMap<HTMLCanvasElement, () => string>} */
const drawings = new WeakMap();

/** What a canvas shows, as SVG. @param {HTMLCanvasElement} canvas */
export const svgOf = (canvas) => drawings.get(canvas)?.() ?? "";

/** @param {HTMLElement} canvas @returns {import("./types").Theme} */
function themeOf(canvas) {
  const style = getComputedStyle(canvas);
  const numbers = (/** @type {string} */ colour) => (colour.match(/[\d.]+/g) || []).map(Number);
  const [r = 0, g = 0, b = 0] = numbers(style.color);
  const dark = 0.3 * r + 0.59 * g + 0.11 * b > 128;
  const seeThrough = numbers(style.backgroundColor)[3] === 0;
  const paper = seeThrough ? (dark ? STYLE.paper.dark : STYLE.paper.light) : style.backgroundColor;
  return { ink: style.color, paper, font: style.fontFamily };
}

/**
 * Fill `el` with a canvas. Nothing is painted while it is out of sight, and the newest state wins.
 * @param {HTMLElement} el whose size is that of the canvas; if it must be higher, `el` scrolls
 * @param {object} how
 * @param {(width: number, height: number) => number} how.arrange returns the height that is necessary; 0: nothing to show yet
 * @param {(pen: import("./types").Pen, width: number, height: number) => void} how.paint
 * @param {() => string} how.label describes it in words
 * @param {string} how.role
 */
export function mount(el, { arrange, paint, label, role }) {
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", role);
  el.appendChild(canvas);
  let asked = false, seen = false;
  const resize = () => {
    const width = Math.max(el.clientWidth, 120), zoom = canvas.getBoundingClientRect().width / (canvas.offsetWidth || 1) || 1;
    const wanted = arrange(width, el.clientHeight), height = wanted && Math.max(wanted, el.clientHeight);
    const ratio = (window.devicePixelRatio || 1) * zoom, pixels = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== pixels[0] || canvas.height !== pixels[1]) {
      [canvas.width, canvas.height] = pixels;
      Object.assign(canvas.style, { width: `${pixels[0] / ratio}px`, height: `${pixels[1] / ratio}px` }); // whole pixels: sharp
    }
    return { width, height, ratio };
  };
  const draw = () => {
    asked = false;
    if (!el.clientWidth) return; // in a hidden tab or a collapsed cell
    const { width, height, ratio } = resize();
    if (!height) return;
    canvas.setAttribute("aria-label", label());
    if (!seen) return;
    const pen = /** @type {import("./types").Pen} */ (canvas.getContext("2d"));
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.theme = themeOf(canvas);
    pen.size = { width, height };
    pen.explained = [];
    paint(pen, width, height);
  };
  const redraw = () => {
    if (!asked) requestAnimationFrame(draw);
    asked = true;
  };
  drawings.set(canvas, () => {
    const { width, height } = resize(), pen = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
    const measure = (/** @type {string} */ words, /** @type {string} */ font) => Object.assign(pen, { font }).measureText(words).width;
    const drawing = new SvgPen(width, height, themeOf(canvas), measure);
    paint(/** @type {any} */ (drawing), width, height); // all that a painter uses of a pen
    return String(drawing);
  });
  return { canvas, redraw, stop: watch(el, canvas, redraw, (now) => (seen = now)) };
}

/**
 * Where on a canvas an event happened, in the pixels that its painter counts; `offsetX` counts those of the page.
 * @param {HTMLCanvasElement} canvas @param {MouseEvent} event
 */
export function pointOf(canvas, { clientX, clientY }) {
  const { left, top, width } = canvas.getBoundingClientRect(), zoom = width / canvas.offsetWidth || 1;
  return { x: (clientX - left) / zoom, y: (clientY - top) / zoom };
}

/**
 * Redraw when the size, the theme or the resolution changes, or when the canvas comes into sight.
 * @param {HTMLElement} el
 * @param {HTMLCanvasElement} canvas
 * @param {() => void} redraw
 * @param {(now: boolean) => void} see
 */
function watch(el, canvas, redraw, see) {
  const size = new ResizeObserver(redraw);
  size.observe(el);
  const sight = new IntersectionObserver((entries) => {
    see(entries[entries.length - 1].isIntersecting);
    redraw();
  });
  sight.observe(canvas);
  const theme = new MutationObserver(redraw);
  const attributeFilter = ["class", "style", "theme", "data-jp-theme-light", "data-vscode-theme-kind"];
  for (const root of [document.documentElement, document.body]) theme.observe(root, { attributeFilter });
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", redraw);
  window.addEventListener("resize", redraw);
  return () => {
    for (const observer of [size, sight, theme]) observer.disconnect();
    system.removeEventListener("change", redraw);
    window.removeEventListener("resize", redraw);
  };
}
