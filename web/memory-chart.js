// The memory of each guest over the last minutes, as a line that grows to the right.

import { figures } from "./api.js";
import { byId, element, mebibytes } from "./dom.js";

const INTERVAL = 2000;
const POINTS = 60;
const SVG = "http://www.w3.org/2000/svg";

export class MemoryChart {
  #history = new Map();
  #timer = null;

  /** Measures while the panel is seen. */
  run(seen) {
    clearInterval(this.#timer);
    if (!seen) return;
    this.#measure();
    this.#timer = setInterval(() => !document.hidden && this.#measure(), INTERVAL);
  }

  async #measure() {
    // A server that is gone shows in whatever a person does next; the chart only waits.
    const memory = await figures("carafe_guest_memory_bytes").catch(() => ({}));
    for (const [model, bytes] of Object.entries(memory)) {
      // A line needs two points.
      const history = this.#history.get(model) ?? [bytes];
      this.#history.set(model, [...history, bytes].slice(-POINTS));
    }
    byId("memory").replaceChildren(...[...this.#history].map(([model, history]) => chart(model, history)));
  }
}

function chart(model, history) {
  const now = history.at(-1);
  const top = Math.max(...history, 1) * 1.25;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${POINTS - 1} 100`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "polyline");
  const start = POINTS - history.length;
  line.setAttribute("points", history.map((bytes, index) => `${start + index},${100 - (bytes / top) * 100}`).join(" "));
  svg.append(line);
  return element("div", { class: "chart" }, element("p", {}, `${model}: ${mebibytes(now)} at most so far`), svg);
}
