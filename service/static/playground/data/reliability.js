// The reliability diagram: how often predictions are right, against how certain they are.

import { svg } from "../dom.js";
import { percent } from "../format.js";

const SIZE = 260;
const [LEFT, TOP, RIGHT] = [62, 8, 24];
const MARKS = [0, 0.5, 1];

/** Create the diagram of some bins of confidence. `kind` is before or after. */
export function reliabilityDiagram(kind, title, bins) {
  const x = (share) => LEFT + share * SIZE;
  const y = (share) => TOP + (1 - share) * SIZE;
  const full = bins.filter((bin) => bin.rows);
  const most = Math.max(...full.map((bin) => bin.rows));
  const said = full.map(({ confidence, accuracy }) => `${percent(confidence)} certain, ${percent(accuracy)} right`);
  const line = full.map(({ confidence, accuracy }) => `${x(confidence).toFixed(1)},${y(accuracy).toFixed(1)}`);
  const text = (content, attributes) => svg("text", attributes, content);
  return svg(
    "svg",
    {
      class: "reliability",
      role: "img",
      viewBox: `0 0 ${LEFT + SIZE + RIGHT} ${TOP + SIZE + 40}`,
      "aria-label": `Reliability at ${title}: ${said.join("; ")}.`,
    },
    svg("rect", { class: "frame", x: x(0), y: y(1), width: SIZE, height: SIZE }),
    svg("line", { class: "ideal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
    ...MARKS.map((mark) => text(percent(mark).replace(".0", ""), { x: x(mark), y: y(0) + 16 })),
    ...MARKS.map((mark) => text(percent(mark).replace(".0", ""), { class: "end", x: x(0) - 5, y: y(mark) + 4 })),
    text("confidence", { x: x(0.5), y: y(0) + 34 }),
    text("accuracy", { x: -y(0.5), y: 12, transform: "rotate(-90)" }),
    svg("polyline", { class: `line ${kind}`, points: line.join(" ") }),
    ...full.map(({ confidence, accuracy, rows }) =>
      svg("circle", { class: `dot ${kind}`, cx: x(confidence), cy: y(accuracy), r: 3 + 7 * Math.sqrt(rows / most) }),
    ),
  );
}
