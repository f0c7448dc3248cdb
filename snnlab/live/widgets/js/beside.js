// Where a small box goes that speaks of a larger one: beside it, inside the screen, over as little as possible.

/** @typedef {import("./types").Box} Box @typedef {"below" | "above" | "right" | "left"} Side */

const GAP = 6;

/** The area that two boxes share. @param {Box} a @param {Box} b */
export const shared = (a, b) =>
  Math.max(0, Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x)) * Math.max(0, Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y));

/** @param {number} value @param {number} low @param {number} high */
const within = (value, low, high) => Math.max(low, Math.min(value, high));

/**
 * The upper left corner of a box of some size beside `target`, inside `room`: on the side on which it covers least of
 * `kept` and of the target, the first of equal ones.
 * It is flush with one end of the target or with the other.
 * @param {Box} target @param {{ width: number, height: number }} size @param {Box} room @param {Side[]} sides @param {Box[]} [kept]
 */
export function beside(target, { width, height }, room, sides, kept = []) {
  const { x: left, y: top } = target, right = left + target.width, bottom = top + target.height;
  /** @type {Record<Side, [number, number][]>} */ const corners = {
    below: [[left, bottom + GAP], [right - width, bottom + GAP]], above: [[left, top - height - GAP], [right - width, top - height - GAP]],
    right: [[right + GAP, top], [right + GAP, bottom - height]], left: [[left - width - GAP, top], [left - width - GAP, bottom - height]],
  };
  const found = sides.flatMap((side) => corners[side]).map(([wantedX, wantedY]) => {
    const x = within(wantedX, room.x, Math.max(room.x, room.x + room.width - width));
    const y = within(wantedY, room.y, Math.max(room.y, room.y + room.height - height));
    return { x, y, covers: [target, ...kept].reduce((sum, box) => sum + shared({ x, y, width, height }, box), 0) };
  });
  const { x, y } = found.reduce((best, other) => (other.covers < best.covers ? other : best));
  return { x, y };
}
