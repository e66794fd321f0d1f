// Positions of the nodes in the picture: one layout for a screen, one for a phone. One unit is one pixel.

const WIDE = {
  width: 820,
  height: 420,
  rows: [76, 210, 344],
  radius: 36,
  inputX: 52,
  logitX: 350,
  bar: { x: 466, width: 214, height: 64 },
  note: { x: 670, class: "badge", offsets: [-14, 4, 22] },
  loss: { x: 768, y: 210 },
  withLabels: true,
};

const NARROW = {
  width: 312,
  height: 470,
  rows: [38, 164, 290],
  radius: 29,
  inputX: 31,
  logitX: 133,
  bar: { x: 200, width: 94, height: 54 },
  note: { x: 201, class: "badge start", offsets: [42, 57, 72] },
  loss: { x: 247, y: 428 },
  withLabels: false,
};

/** Return the layout for a width in pixels. */
export const layoutFor = (width) => (width < 640 ? NARROW : WIDE);

/** Return a curve between two points that is level at both ends. */
export function curve(from, to) {
  const half = (from.x + to.x) / 2;
  return `M${from.x},${from.y} C${half},${from.y} ${half},${to.y} ${to.x},${to.y}`;
}

/** Return the point of such a curve at a share of its length. */
export function along(from, to, s) {
  const middle = 1.5 * s * (1 - s);
  const x = (1 - s) ** 3 * from.x + middle * (from.x + to.x) + s ** 3 * to.x;
  return { x, y: from.y + (to.y - from.y) * (3 * s * s - 2 * s ** 3) };
}

/** Return the path from a bar to the loss: across on a screen, down the right side on a phone. */
export function toLoss(layout, i) {
  const from = { x: layout.bar.x + layout.bar.width, y: layout.rows[i] };
  if (layout.withLabels) return curve(from, { x: layout.loss.x - layout.radius, y: layout.loss.y });
  return `M${from.x},${from.y} h12 V${layout.loss.y} H${layout.loss.x + layout.radius}`;
}
