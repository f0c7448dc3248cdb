// One sample: its image, the spikes of every layer and the readout traces, over one time axis.
const PALETTE = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#999999", "#8C6D31", "#5254A3", "#B5CF6B"];
const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3]];
const LEFT = 120, RIGHT = 14, BAND = 130, GAP = 26, READOUT = 120, AXIS = 30;

function bytesOf(view) {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function drawImage(ctx, image, x, y, size) {
  const { rows, columns } = image;
  const grey = bytesOf(image.bytes);
  const pixel = Math.min(size / rows, size / columns);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) {
      const g = grey[r * columns + c];
      ctx.fillStyle = `rgb(${g},${g},${g})`;
      ctx.fillRect(x + c * pixel, y + r * pixel, Math.ceil(pixel), Math.ceil(pixel));
    }
}

function drawRaster(ctx, raster, steps, x, y, width, height, ink) {
  const bits = bytesOf(raster.bits);
  const dx = width / steps, dy = height / raster.units;
  ctx.fillStyle = ink;
  for (let t = 0, k = 0; t < steps; t++)
    for (let n = 0; n < raster.units; n++, k++)
      if (bits[k >> 3] & (128 >> (k & 7)))
        ctx.fillRect(x + t * dx, y + height - (n + 1) * dy, Math.max(dx * 0.9, 1.5), Math.max(dy * 0.9, 1.5));
}

function drawReadout(ctx, frame, x, y, width, height) {
  const view = frame.readout;
  const traces = new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
  const classes = traces.length / frame.steps;
  let low = Infinity, high = -Infinity;
  for (const v of traces) { low = Math.min(low, v); high = Math.max(high, v); }
  const span = high - low || 1;
  for (let c = 0; c < classes; c++) {
    const wins = c === frame.prediction;
    ctx.strokeStyle = PALETTE[c % PALETTE.length];
    ctx.lineWidth = wins ? 3 : 1;
    ctx.setLineDash(wins ? [] : DASHES[c % DASHES.length]);
    ctx.beginPath();
    for (let t = 0; t < frame.steps; t++) {
      const px = x + ((t + 0.5) * width) / frame.steps;
      const py = y + height - ((traces[t * classes + c] - low) / span) * height;
      t ? ctx.lineTo(px, py) : ctx.moveTo(px, py);
    }
    ctx.stroke();
  }
  ctx.setLineDash([]);
}

function drawAxis(ctx, frame, x, y, width, ink) {
  const end = frame.dt ? frame.steps * frame.dt : frame.steps;
  ctx.textAlign = "center";
  for (let k = 0; k <= 5; k++) {
    const px = x + (k * width) / 5;
    ctx.fillStyle = ink;
    ctx.fillRect(px, y, 1, 4);
    ctx.fillText(String(+((end * k) / 5).toPrecision(3)), px, y + 16);
  }
  ctx.textAlign = "left";
  ctx.fillText(frame.dt ? "time [ms]" : "time [steps]", x - 90, y + 16);
}

function draw(canvas, frame) {
  const width = Math.max(canvas.parentElement.clientWidth, 480);
  const rasters = frame.rasters.length;
  const height = GAP + rasters * (BAND + GAP) + READOUT + AXIS;
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  const ink = getComputedStyle(canvas).color;
  const inner = width - LEFT - RIGHT;
  ctx.font = "12px sans-serif";
  let y = GAP;
  const title = (text) => { ctx.fillStyle = ink; ctx.textAlign = "left"; ctx.fillText(text, LEFT, y - 8); };
  drawImage(ctx, frame.image, 4, y, LEFT - 24);
  const right = frame.label === frame.prediction;
  ctx.fillStyle = ink;
  ctx.fillText(`true: ${frame.classes[frame.label]}`, 4, y + LEFT - 6, LEFT - 16);
  ctx.fillText(`${right ? "\u2713" : "\u2717"} ${frame.classes[frame.prediction]}`, 4, y + LEFT + 12, LEFT - 16);
  for (const raster of frame.rasters) {
    title(raster.name);
    ctx.strokeStyle = ink; ctx.lineWidth = 0.3;
    ctx.strokeRect(LEFT, y, inner, BAND);
    drawRaster(ctx, raster, frame.steps, LEFT, y, inner, BAND, ink);
    y += BAND + GAP;
  }
  title(`readout: ${frame.classes[frame.prediction]} is highest (thick)`);
  drawReadout(ctx, frame, LEFT, y, inner, READOUT);
  drawAxis(ctx, frame, LEFT, y + READOUT + 2, inner, ink);
}

export default {
  render({ model, el }) {
    const canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    canvas.style.color = "var(--jp-ui-font-color1, currentColor)";
    el.appendChild(canvas);
    const update = () => {
      const frame = model.get("frame");
      if (!frame.steps || !canvas.isConnected) return;
      draw(canvas, frame);
      canvas.setAttribute("aria-label", `Spike raster of the probe sample: ${frame.summary}`);
    };
    model.on("change:frame", update);
    const watcher = new ResizeObserver(update);
    watcher.observe(el);
    return () => { watcher.disconnect(); model.off("change:frame", update); };
  },
};
