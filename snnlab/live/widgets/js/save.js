// Files for the user: a canvas as a picture, curves as numbers.
import { valuesOf } from "./chart.js";
import { h, icon } from "./dom.js";

/** Offer a file. @param {string} name @param {Blob | null} content */
function download(name, content) {
  if (!content) return;
  const link = h("a", { href: URL.createObjectURL(content), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** A button that saves what a canvas shows. @param {string} name @param {() => HTMLCanvasElement | null} canvas */
export function saver(name, canvas) {
  const save = () => canvas()?.toBlob((picture) => download(`${name}.png`, picture));
  return h("button", { class: "quiet last", title: "Save as a picture (PNG)", "aria-label": `save ${name} as a picture`, onclick: save }, icon("save"));
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
