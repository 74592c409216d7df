// The picture panel: a sample, a dropped, a pasted or a chosen file goes to the server; labels,
// times and the model's view come back.

import { Problem, classify } from "./api.js";
import { announce, byId, element, milliseconds } from "./dom.js";
import { clearProblem, showProblem } from "./errors.js";
import { store } from "./store.js";
import { bar } from "./token-view.js";

const SAMPLES = [
  { name: "Cat", file: "cat_720p.jpg" },
  { name: "Grace Hopper", file: "grace_hopper.bmp" },
  { name: "Hot dog", file: "hot_dog.jpg" },
  { name: "Parrot", file: "parrot.jpg" },
];

export class PictureView {
  #picture = null;
  #address = null;

  constructor() {
    byId("gallery").replaceChildren(...SAMPLES.map((sample) => this.#sampleButton(sample)));
    byId("file").addEventListener("change", () => this.#take(byId("file").files));
    byId("show-input").addEventListener("click", () => this.#showInput());
    const panel = byId("pictures");
    panel.addEventListener("dragover", (event) => this.#hover(event, true));
    panel.addEventListener("dragleave", (event) => this.#hover(event, false));
    panel.addEventListener("drop", (event) => {
      this.#hover(event, false);
      this.#take(event.dataTransfer.files);
    });
    document.addEventListener("paste", (event) => !panel.hidden && this.#take(event.clipboardData.files));
  }

  #sampleButton({ name, file }) {
    const image = element("img", { src: `/images/${file}`, alt: "", loading: "lazy" });
    const button = element("button", { type: "button" }, image, name);
    button.addEventListener("click", () => this.#fetchSample(name, file));
    return button;
  }

  async #fetchSample(name, file) {
    try {
      const response = await fetch(`/images/${file}`);
      await this.#classify(new File([await response.blob()], name, { type: response.headers.get("content-type") }));
    } catch (error) {
      if (error instanceof Problem) throw error;
      showProblem(new Problem("unreachable", error.message), () => this.#fetchSample(name, file));
    }
  }

  #hover(event, over) {
    event.preventDefault();
    byId("drop").classList.toggle("over", over);
  }

  #take(files) {
    if (files.length > 0) this.#classify(files[0]);
  }

  async #classify(picture) {
    clearProblem();
    announce("Looking at the picture.");
    try {
      const answer = await classify(picture);
      this.#picture = picture;
      this.#draw(picture, answer);
      const [best] = answer.labels;
      announce(`Done: ${best.label}, ${Math.round(best.probability * 100)} percent.`);
    } catch (error) {
      this.#fail(error, () => this.#classify(picture));
    }
  }

  #draw(picture, answer) {
    if (this.#address) URL.revokeObjectURL(this.#address);
    this.#address = URL.createObjectURL(picture);
    byId("preview").src = this.#address;
    byId("preview").alt = picture.name;
    byId("preview-caption").textContent = `${picture.name}, ${answer.width} × ${answer.height} pixels`;
    byId("labels").replaceChildren(...answer.labels.map((label) => bar(label.label, label.probability)));
    byId("picture-times").replaceChildren(...timesOf(answer.times).map(([name, time]) => figure(name, time)));
    byId("input-figure").hidden = true;
    byId("show-input").hidden = false;
    byId("result").hidden = false;
    store.setLatest(wayOf(answer));
  }

  async #showInput() {
    try {
      const answer = await classify(this.#picture, true);
      drawInput(answer.input);
    } catch (error) {
      this.#fail(error, () => this.#showInput());
    }
  }

  #fail(error, retry) {
    if (!(error instanceof Problem)) throw error;
    announce("");
    showProblem(error, retry);
  }
}

const timesOf = (times) => [
  ["Waiting", times.queue_ms],
  ["Decoding, in the sandbox", times.decode_ms],
  ["Scaling, in the sandbox", times.resize_ms],
  ["Model", times.model_ms],
  ["All", times.total_ms],
];

function figure(name, time) {
  return element("div", {}, element("dt", {}, name), element("dd", {}, milliseconds(time)));
}

/** Draws 3 bytes a pixel on the canvas. */
function drawInput({ width, height, rgb }) {
  const bytes = Uint8Array.from(atob(rgb), (letter) => letter.charCodeAt(0));
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    image.data.set(bytes.subarray(pixel * 3, pixel * 3 + 3), pixel * 4);
    image.data[pixel * 4 + 3] = 255;
  }
  const canvas = byId("input-canvas");
  Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(image, 0, 0);
  byId("input-caption").textContent = `What the model saw: ${width} × ${height} pixels.`;
  byId("input-figure").hidden = false;
  byId("show-input").hidden = true;
  announce("The picture as the model saw it is shown.");
}

/** The way of a picture, for the panel under the hood. */
function wayOf({ model, profile, width, height, times }) {
  const sandbox = times.decode_ms + times.resize_ms;
  return {
    summary: `Picture of ${width} × ${height} pixels by ${model}, profile ${profile}`,
    total: times.total_ms,
    queue: times.queue_ms,
    server: Math.max(times.total_ms - times.queue_ms - sandbox - times.model_ms, 0),
    sandbox,
    sandboxDoes: "decoder and scaling: a WebAssembly guest that reaches nothing but wasi-nn",
    native: times.model_ms,
  };
}
