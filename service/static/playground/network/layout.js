// Where the nodes of the picture lie: one layout for a screen, one for a phone. One unit is one pixel.

const WIDE = {
  width: 820,
  height: 420,
  rows: [76, 210, 344],
  radius: 36,
  inputX: 52,
  logitX: 350,
  bar: { x: 478, width: 196, height: 58 },
  loss: { x: 768, y: 210 },
  withLabels: true,
};

const NARROW = {
  width: 330,
  height: 420,
  rows: [52, 156, 260],
  radius: 27,
  inputX: 28,
  logitX: 134,
  bar: { x: 186, width: 122, height: 54 },
  loss: { x: 247, y: 372 },
  withLabels: false,
};

/** The layout for a width in pixels. */
export const layoutFor = (width) => (width < 640 ? NARROW : WIDE);

/** A curve between two points that leaves and arrives level. */
export function curve(from, to) {
  const half = (from.x + to.x) / 2;
  return `M${from.x},${from.y} C${half},${from.y} ${half},${to.y} ${to.x},${to.y}`;
}

/** The point of such a curve at a share of its way. */
export function along(from, to, s) {
  const middle = 1.5 * s * (1 - s);
  const x = (1 - s) ** 3 * from.x + middle * (from.x + to.x) + s ** 3 * to.x;
  return { x, y: from.y + (to.y - from.y) * (3 * s * s - 2 * s ** 3) };
}

/** The way from a bar to the loss: across on a screen, down the side on a phone. */
export function toLoss(layout, i) {
  const from = { x: layout.bar.x + layout.bar.width, y: layout.rows[i] };
  if (layout.withLabels) return curve(from, { x: layout.loss.x - layout.radius, y: layout.loss.y });
  return `M${from.x},${from.y} h12 V${layout.loss.y} H${layout.loss.x + layout.radius}`;
}
