// What the hand-drawn views share: decoding, scales, text, images, and a canvas that redraws when necessary.
// `STYLE` comes from frames/style.py.

const [BLUE, ORANGE, GREEN, VERMILION] = STYLE.colours;
const lookOf = (k) => {
  const [colour, dash] = STYLE.many[k % STYLE.many.length];
  return { colour, dash };
};

// ---- decoding: bytes arrive as a DataView that need not be aligned ----

const bytesOf = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
const aligned = (view) => view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
const floatsOf = (view) => new Float32Array(aligned(view));
const intsOf = (view) => new Int32Array(aligned(view));
const bitOf = (bytes, k) => bytes[k >> 3] & (128 >> (k & 7));

// ---- numbers and scales ----

const short = (value, digits = 3) => String(+value.toPrecision(digits)).replace("-", "\u2212");
const scale = (low, high, start, end) => (value) => start + ((value - low) * (end - start)) / (high - low || 1);

function ticks(low, high, count) {
  const rough = (high - low || 1) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = STYLE.steps.find((k) => k * power >= rough * 0.999) * power;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-6); k <= high / step + 1e-6; k++) found.push(+(k * step).toPrecision(12));
  return found;
}

// ---- drawing; `pen` is a 2d context with the theme ----

function text(pen, words, x, y, { align = "left", bold = false, size = 12, alpha = 1, colour, room, halo } = {}) {
  pen.font = `${bold ? "600 " : ""}${size}px ${pen.theme.font}`;
  pen.textAlign = align;
  words = fit(pen, words, room);
  if (halo) {
    Object.assign(pen, { strokeStyle: pen.theme.paper, lineWidth: 3, lineJoin: "round" });
    pen.strokeText(words, x, y);
  }
  pen.globalAlpha = alpha;
  pen.fillStyle = colour || pen.theme.ink;
  pen.fillText(words, x, y);
  pen.globalAlpha = 1;
  return pen.measureText(words).width;
}

function fit(pen, words, room = Infinity) {
  if (pen.measureText(words).width <= room) return words;
  while (words && pen.measureText(`${words}\u2026`).width > room) words = words.slice(0, -1);
  return `${words}\u2026`;
}

function fill(pen, x, y, width, height, { colour, alpha = 1 } = {}) {
  pen.globalAlpha = alpha;
  pen.fillStyle = colour || pen.theme.ink;
  pen.fillRect(x, y, width, height);
  pen.globalAlpha = 1;
}

// Through the points; a y that is NaN leaves a gap.
function line(pen, points, { colour, width = 1, dash = [], alpha = 1 } = {}) {
  Object.assign(pen, { strokeStyle: colour || pen.theme.ink, lineWidth: width, lineJoin: "round", globalAlpha: alpha });
  pen.setLineDash(dash);
  pen.beginPath();
  let broken = true;
  for (const [x, y] of points) {
    if (!Number.isNaN(y)) broken ? pen.moveTo(x, y) : pen.lineTo(x, y);
    broken = Number.isNaN(y);
  }
  pen.stroke();
  pen.setLineDash([]);
  pen.globalAlpha = 1;
}

// The outline of a box, as hairlines on whole pixels.
function box(pen, { x, y, width, height }, alpha = 0.35) {
  Object.assign(pen, { strokeStyle: pen.theme.ink, lineWidth: 1, globalAlpha: alpha });
  pen.strokeRect(Math.round(x) - 0.5, Math.round(y) - 0.5, Math.round(width) + 1, Math.round(height) + 1);
  pen.globalAlpha = 1;
}

function dot(pen, x, y, colour) {
  pen.fillStyle = colour;
  pen.beginPath();
  pen.arc(x, y, 4, 0, 2 * Math.PI);
  pen.fill();
}

// An arrow to the right with its tip at (x, y).
function arrow(pen, x, y, colour) {
  pen.fillStyle = colour;
  pen.beginPath();
  for (const [dx, dy] of [[0, 0], [-8, -5], [-8, 5]]) pen.lineTo(x + dx, y + dy);
  pen.fill();
}

// Ticks and numbers under a box; `word(tick)` formats a number, `at(tick)` places it.
function axisUnder(pen, { y, height }, marks, at, word) {
  for (const tick of marks) {
    line(pen, [[at(tick), y + height], [at(tick), y + height + 4]], { alpha: 0.5 });
    text(pen, word(tick), at(tick), y + height + 16, { align: "center", size: 11, alpha: 0.8 });
  }
}

// The same at the left of a box, from `low` at its bottom to `high` at its top; returns value -> y.
function axisBeside(pen, { x, y, width, height }, low, high, count) {
  const at = scale(low, high, y + height, y);
  for (const tick of ticks(low, high, count)) {
    line(pen, [[x - 4, at(tick)], [x, at(tick)]], { alpha: 0.5 });
    if (tick === 0) line(pen, [[x, at(0)], [x + width, at(0)]], { alpha: 0.25 });
    text(pen, short(tick), x - 7, at(tick) + 4, { align: "right", size: 11, alpha: 0.8 });
  }
  return at;
}

// Spikes as bits, row = time: one mark each, high enough to see, with a gap to the next step.
function spikeMarks(pen, bits, columns, units, { x, y, width, height }, colour) {
  const bytes = bytesOf(bits), dx = width / columns, dy = height / units;
  const wide = Math.max(Math.min(0.6 * dx, 2.5), 1.2), tall = Math.max(0.85 * dy, 3);
  pen.fillStyle = colour || pen.theme.ink;
  for (let t = 0, k = 0; t < columns; t++)
    for (let n = 0; n < units; n++, k++)
      if (bitOf(bytes, k)) pen.fillRect(x + (t + 0.5) * dx - wide / 2, y + (n + 0.5) * dy - tall / 2, wide, tall);
}

const mix = (from, to, share) => from.map((v, k) => v + (to[k] - v) * share);
const grey = (byte) => [byte, byte, byte];
const rgb = (colour) => [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));
const [COLD, WHITE, WARM] = [BLUE, "#ffffff", VERMILION].map(rgb);
const diverging = (byte) => mix(WHITE, byte < 128 ? COLD : WARM, Math.abs(byte - 128) / 127);

// An image of one byte per pixel, stretched over a box.
function picture(pen, { rows, columns, bytes }, colour, { x, y, width, height }) {
  const small = document.createElement("canvas"), data = new ImageData(columns, rows);
  const table = Uint8ClampedArray.from(Array.from({ length: 256 }, (_, byte) => [...colour(byte), 255]).flat());
  const colours = new Uint32Array(table.buffer), pixels = new Uint32Array(data.data.buffer);
  bytesOf(bytes).forEach((byte, k) => (pixels[k] = colours[byte]));
  Object.assign(small, { width: columns, height: rows });
  small.getContext("2d").putImageData(data, 0, 0);
  pen.imageSmoothingEnabled = columns > width || rows > height;
  pen.drawImage(small, x, y, width, height);
}

// At most 4 : 1, so that neither a long signal nor a few numbers disappear.
function shapeOf({ rows, columns }, size) {
  const ratio = Math.min(Math.max(columns / rows, 0.25), 4);
  return { width: size * Math.min(1, ratio), height: size / Math.max(1, ratio) };
}

// The key to the colours of `diverging`, from -end to end.
function scaleBar(pen, end, x, y) {
  const from = x + 4 + text(pen, short(-end, 2), x, y + 7, { size: 11 });
  for (let k = 0; k < 40; k++) fill(pen, from + k, y, 1.2, 7, { colour: `rgb(${diverging(1 + k * 6.5)})` });
  box(pen, { x: from, y, width: 40, height: 7 });
  text(pen, short(end, 2), from + 45, y + 7, { size: 11 });
}

// ---- a canvas in the page ----

function themeOf(canvas) {
  const style = getComputedStyle(canvas);
  const numbers = (colour) => (colour.match(/[\d.]+/g) || []).map(Number);
  const [r = 0, g = 0, b = 0] = numbers(style.color);
  const dark = 0.3 * r + 0.59 * g + 0.11 * b > 128;
  const seeThrough = numbers(style.backgroundColor)[3] === 0;
  const paper = seeThrough ? (dark ? STYLE.paper.dark : STYLE.paper.light) : style.backgroundColor;
  return { ink: style.color, paper, font: style.fontFamily };
}

// Make a canvas as wide as `el`. `arrange(width)` returns its height (0: nothing to show yet), `paint(pen, width)` fills
// it, `label()` describes it in words. Nothing is painted while it is out of sight, and the newest state wins.
function mount(el, { arrange, paint, label, role }) {
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", role);
  canvas.style.cssText = `display: block; color: var(--jp-ui-font-color1, currentColor);
    background-color: var(--jp-layout-color0, transparent);
    font-family: var(--jp-ui-font-family, system-ui, sans-serif)`;
  el.style.minWidth = "0"; // in a row of widgets it may become narrower again
  el.appendChild(canvas);
  let asked = false, seen = false;
  const resize = () => {
    const width = Math.max(el.clientWidth, 480), height = arrange(width), ratio = window.devicePixelRatio || 1;
    const pixels = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== pixels[0] || canvas.height !== pixels[1]) {
      [canvas.width, canvas.height] = pixels;
      Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
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
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.theme = themeOf(canvas);
    paint(pen, width);
  };
  const redraw = () => {
    if (!asked) requestAnimationFrame(draw);
    asked = true;
  };
  return { canvas, redraw, stop: watch(el, canvas, redraw, (now) => (seen = now)) };
}

// Redraw when the size, the theme or the resolution changes, or when the canvas comes into sight.
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
