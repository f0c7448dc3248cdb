// Files for the user: a canvas as a picture, curves as numbers.
import { svgOf } from "./canvas.js";
import { valuesOf } from "./chart.js";
import { h, icon } from "./dom.js";

/** Offer a file. @param {string} name @param {Blob | null} content */
export function download(name, content) {
  if (!content) return;
  const link = h("a", { href: URL.createObjectURL(content), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/**
 * A button that opens a list of files to save: the canvases that are seen as PNG and SVG, and more.
 * @param {() => string} name of the files
 * @param {() => HTMLCanvasElement[]} canvases
 * @param {{ label: string, explain: string, act: () => void }[]} more
 */
export function saveMenu(name, canvases, more = []) {
  const all = (/** @type {(canvas: HTMLCanvasElement, file: string) => void} */ save) => () => {
    const found = canvases();
    found.forEach((canvas, k) => save(canvas, found.length > 1 ? `${name()}-${k + 1}` : name()));
  };
  const png = all((canvas, file) => canvas.toBlob((picture) => download(`${file}.png`, picture)));
  const svg = all((canvas, file) => download(`${file}.svg`, new Blob([svgOf(canvas)], { type: "image/svg+xml" })));
  const entries = [{ label: "PNG", explain: "panel.png", act: png }, { label: "SVG", explain: "panel.svg", act: svg }, ...more];
  const summary = h("summary", { "data-explain": "panel.save", "aria-label": "save" }, icon("save"));
  const close = () => { el.open = false; };
  const el = h("details", {
    class: "menu last", onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape" || !el.open) return;
      close();
      summary.focus();
      event.stopPropagation();
    },
    onfocusout: (/** @type {FocusEvent} */ { relatedTarget }) => el.contains(/** @type {Node | null} */ (relatedTarget)) || close(),
  }, summary, h("div", { class: "list" }, ...entries.map(({ label, explain, act }) => h("button", { class: "small", "data-explain": explain, onclick: () => {
    act();
    close();
    summary.focus();
  } }, label))));
  return el;
}

/** Curves as lines of text: the name of the curve, step, value. @param {Record<string, import("./types").Curve>} curves */
export function textOf(curves) {
  const rows = Object.entries(curves).flatMap(([name, curve]) => {
    const { x, y } = valuesOf(curve), quoted = `"${name.replaceAll('"', '""')}"`;
    return Array.from(x, (step, k) => `${quoted},${step},${y[k]}`);
  });
  return ["curve,step,value", ...rows, ""].join("\n");
}

/** The curves as they are shown. @param {import("./types").Model} model */
export const saveCurves = (model) => download("curves.csv", new Blob([textOf(model.get("curves").now ?? {})], { type: "text/csv" }));
