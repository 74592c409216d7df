// The panel under the hood: the way of the latest request, the guests' memory, the models and what
// is proven of them.

import { certificateSentences, profileSentence } from "./certificate.js";
import { byId, element, milliseconds } from "./dom.js";
import { MemoryChart } from "./memory-chart.js";
import { store } from "./store.js";

export class HoodView {
  #memory = new MemoryChart();

  constructor() {
    store.addEventListener("latest", () => drawWay(store.latest));
    store.addEventListener("models", () => byId("cards").replaceChildren(...store.models.map(card)));
  }

  /** Told when the panel is opened and closed. */
  show(seen) {
    this.#memory.run(seen);
  }
}

function drawWay(latest) {
  const { total } = latest;
  byId("way-summary").textContent = `${latest.summary}; ${milliseconds(total)} from the request's arrival to its end.`;
  const stops = [
    ["Waiting for a permit", latest.queue, "the requests before this one"],
    ["Server", latest.server, "HTTP, JSON and the streams: ordinary Rust, which neither cuts a text into tokens nor decodes a picture"],
    ["Sandbox", latest.sandbox, latest.sandboxDoes],
    ["wasi-nn and OpenVINO", latest.native, "the host checks every tensor, then OpenVINO computes on the processor"],
  ];
  byId("way").replaceChildren(...stops.map(([name, time, does]) => stop(name, time, does, total)));
}

function stop(name, time, does, total) {
  const share = total > 0 ? time / total : 0;
  return element(
    "li",
    {},
    element("span", {}, name),
    element("span", { class: "value" }, milliseconds(time)),
    element("meter", { min: 0, max: 1, value: share, "aria-hidden": "true" }),
    element("p", { class: "hint" }, does),
  );
}

function card(model) {
  const items = certificateSentences(model.certificate).map((sentence) => element("li", {}, sentence));
  return element(
    "article",
    { class: "card" },
    element("h4", {}, model.id),
    element("p", {}, `${model.description}. Licence: ${model.licence}.`),
    element("p", {}, profileSentence(model)),
    element("ul", {}, ...items),
    element("p", { class: "hint" }, `Certificate: SHA-256 ${model.certificate.sha256}`),
  );
}
