// The learning curve: the loss that the service returned after each step.

import { svg } from "../dom.js";
import { number } from "../format.js";

const [WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP] = [420, 190, 66, 10, 24, 12];

/** Draw losses, one for each step from 0 on. */
export function drawCurve(root, losses) {
  const finite = losses.filter(Number.isFinite);
  const most = Math.max(...finite, 0) || 1;
  const steps = Math.max(losses.length - 1, 10);
  const x = (step) => LEFT + ((WIDTH - LEFT - RIGHT) * step) / steps;
  const y = (loss) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - Math.min(loss, most) / most);
  const points = losses.map((loss, step) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`);
  const text = (content, attributes) => svg("text", attributes, content);
  const axis = (kind, at) => svg("line", { class: kind, x1: LEFT, x2: WIDTH - RIGHT, y1: at, y2: at });
  root.replaceChildren(
    axis("axis", y(0)),
    axis("axis faint", y(most)),
    text(number(most), { x: LEFT - 6, y: y(most) + 4, class: "end" }),
    text("0", { x: LEFT - 6, y: y(0) + 4, class: "end" }),
    text("step 0", { x: LEFT, y: HEIGHT - 6 }),
    text(String(steps), { x: WIDTH - RIGHT, y: HEIGHT - 6, class: "end" }),
    svg("polyline", { class: "curve", points: points.join(" ") }),
    svg("circle", { class: "tip", cx: x(losses.length - 1), cy: y(losses.at(-1)), r: 4.5 }),
  );
  root.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  root.setAttribute(
    "aria-label",
    `Learning curve: the loss went from ${number(losses[0])} to ${number(losses.at(-1))} in ${losses.length - 1} steps.`,
  );
}
