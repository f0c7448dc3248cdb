// A pen that writes SVG: what is painted on a canvas, as a drawing that stays sharp at any size.

/** @typedef {import("./types").Theme} Theme */

const ANCHORS = /** @type {Record<string, string>} */ ({ left: "start", start: "start", center: "middle", right: "end", end: "end" });

/** A number with two decimals, or none. @param {number} value */
const short = (value) => String(Math.round(value * 100) / 100);

/** @param {string} words */
const escaped = (words) => words.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

/** @param {string} tag @param {Record<string, string | number>} attributes @param {string} [content] */
function element(tag, attributes, content) {
  const written = Object.entries(attributes).map(([name, value]) => ` ${name}="${escaped(typeof value === "number" ? short(value) : value)}"`).join("");
  return content === undefined ? `<${tag}${written}/>` : `<${tag}${written}>${content}</${tag}>`;
}

/** Understands those methods and properties of a 2d context that our painters use. */
export class SvgPen {
  /** @param {number} width @param {number} height @param {Theme} theme @param {(words: string, font: string) => number} measure */
  constructor(width, height, theme, measure) {
    this.theme = theme;
    this.size = { width, height };
    this.measure = measure;
    /** @type {import("./types").Explained[]} */ this.explained = []; // nobody points at a file
    /** @type {string[]} */ this.parts = [];
    /** @type {string[]} */ this.clips = []; // ids of the clips that are open, "" for a level without one
    this.clipped = 0;
    /** @type {number[]} */ this.dash = [];
    this.path = "";
    this.fillStyle = this.strokeStyle = theme.ink;
    this.lineWidth = this.globalAlpha = 1;
    this.lineJoin = "miter";
    this.font = "10px sans-serif";
    this.textAlign = "start";
    this.imageSmoothingEnabled = true;
  }

  // ---- paths ----

  beginPath() { this.path = ""; }
  /** @param {number} x @param {number} y */
  moveTo(x, y) { this.path += `M${short(x)} ${short(y)}`; }
  /** @param {number} x @param {number} y */
  lineTo(x, y) { this.path += `${this.path ? "L" : "M"}${short(x)} ${short(y)}`; }
  /** @param {number} x @param {number} y @param {number} r a full circle */
  arc(x, y, r) { this.path += `M${short(x - r)} ${short(y)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`; }
  /** @param {number} x @param {number} y @param {number} width @param {number} height */
  rect(x, y, width, height) { this.path += `M${short(x)} ${short(y)}h${short(width)}v${short(height)}h${short(-width)}z`; }
  fill() { this.add("path", { d: this.path, ...this.filled() }); }
  stroke() { this.add("path", { d: this.path, ...this.stroked() }); }
  /** @param {number} x @param {number} y @param {number} width @param {number} height */
  fillRect(x, y, width, height) { this.add("rect", { x, y, width, height, ...this.filled() }); }
  /** @param {number} x @param {number} y @param {number} width @param {number} height */
  strokeRect(x, y, width, height) { this.add("rect", { x, y, width, height, ...this.stroked() }); }
  /** @param {number[]} dash */
  setLineDash(dash) { this.dash = dash; }

  // ---- words and pictures ----

  /** @param {string} words */
  measureText(words) { return { width: this.measure(words, this.font) }; }
  /** @param {string} words @param {number} x @param {number} y */
  fillText(words, x, y) { this.write(words, x, y, this.filled()); }
  /** @param {string} words @param {number} x @param {number} y */
  strokeText(words, x, y) { this.write(words, x, y, this.stroked()); }
  /** @param {HTMLCanvasElement} image @param {number} x @param {number} y @param {number} width @param {number} height */
  drawImage(image, x, y, width, height) {
    const look = { preserveAspectRatio: "none", style: `image-rendering:${this.imageSmoothingEnabled ? "auto" : "pixelated"}` };
    this.add("image", { x, y, width, height, opacity: this.globalAlpha, href: image.toDataURL(), ...look });
  }

  // ---- clipping ----

  save() { this.clips.push(""); }
  clip() {
    const id = `clip${++this.clipped}`;
    this.parts.push(element("clipPath", { id }, element("path", { d: this.path })), `<g clip-path="url(#${id})">`);
    this.clips[this.clips.length - 1] = id;
  }
  restore() { if (this.clips.pop()) this.parts.push("</g>"); }

  /** The file. */
  toString() {
    const { width, height } = this.size, paper = element("rect", { width, height, fill: this.theme.paper });
    const head = { xmlns: "http://www.w3.org/2000/svg", width, height, viewBox: `0 0 ${short(width)} ${short(height)}` };
    return `<?xml version="1.0" encoding="UTF-8"?>\n${element("svg", head, [paper, ...this.parts].join("\n"))}\n`;
  }

  /** @param {string} tag @param {Record<string, string | number>} attributes */
  add(tag, attributes) { this.parts.push(element(tag, attributes)); }
  filled() { return { fill: this.fillStyle, "fill-opacity": this.globalAlpha }; }
  stroked() {
    const look = { fill: "none", stroke: this.strokeStyle, "stroke-width": this.lineWidth, "stroke-opacity": this.globalAlpha, "stroke-linejoin": this.lineJoin };
    return this.dash.length ? { ...look, "stroke-dasharray": this.dash.join(" ") } : look;
  }
  /** @param {string} words @param {number} x @param {number} y @param {Record<string, string | number>} look */
  write(words, x, y, look) {
    const [, weight = "", size, family] = /^(\d+ )?([\d.]+)px (.*)$/.exec(this.font) ?? [];
    const type = { "font-size": size, "font-family": family, "text-anchor": ANCHORS[this.textAlign], ...(weight && { "font-weight": weight.trim() }) };
    this.parts.push(element("text", { x, y, ...type, ...look }, escaped(words)));
  }
}
