// A drawing: one byte a pixel, row by row, 0 is paper and 255 is ink.

/** @typedef {{ rows: number, columns: number, bytes: Uint8Array }} Drawing @typedef {[number, number]} Spot in pixels */

/** How thick a pen is: about a tenth of the image, as a digit is written. @param {Drawing} drawing */
export const penOf = ({ rows, columns }) => Math.max(0.6, 0.045 * Math.min(rows, columns));

/** Distance of a point from a line between two others. @param {Spot} point @param {Spot} from @param {Spot} to */
function distance([x, y], [x0, y0], [x1, y1]) {
  const [dx, dy] = [x1 - x0, y1 - y0], along = ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy || 1);
  const share = Math.min(Math.max(along, 0), 1);
  return Math.hypot(x - x0 - share * dx, y - y0 - share * dy);
}

/**
 * A stroke with a soft, round pen: full ink up to half a pixel inside its edge, none from half a pixel outside.
 * @param {Drawing} drawing changed in place @param {Spot} from @param {Spot} to @param {number} radius
 */
export function stroke({ rows, columns, bytes }, from, to, radius) {
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) {
      const ink = Math.min(Math.max(radius + 0.5 - distance([c + 0.5, r + 0.5], from, to), 0), 1);
      bytes[r * columns + c] = Math.max(bytes[r * columns + c], Math.round(255 * ink));
    }
}

/** How far, in whole pixels, the centre of mass is from the middle; [0, 0] for empty paper. @param {Drawing} drawing @returns {Spot} */
export function offCentre({ rows, columns, bytes }) {
  let mass = 0, x = 0, y = 0;
  bytes.forEach((ink, k) => {
    mass += ink;
    x += ink * ((k % columns) + 0.5);
    y += ink * (Math.floor(k / columns) + 0.5);
  });
  if (!mass) return [0, 0];
  return [Math.round(x / mass - columns / 2) || 0, Math.round(y / mass - rows / 2) || 0]; // never -0
}

/**
 * The drawing, moved so that its centre of mass is in the middle, but no ink off the paper.
 * @param {Drawing} drawing @returns {Drawing}
 */
export function centred(drawing) {
  const { rows, columns, bytes } = drawing, [right, down] = offCentre(drawing), moved = new Uint8Array(bytes.length);
  const inked = [...bytes.keys()].filter((k) => bytes[k]), xs = inked.map((k) => k % columns), ys = inked.map((k) => Math.floor(k / columns));
  const dx = Math.min(Math.max(-right, -Math.min(...xs)), columns - 1 - Math.max(...xs));
  const dy = Math.min(Math.max(-down, -Math.min(...ys)), rows - 1 - Math.max(...ys));
  for (const k of inked) moved[k + dy * columns + dx] = bytes[k];
  return { rows, columns, bytes: moved };
}
