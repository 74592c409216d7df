// The text panel: from the form to a request, from the stream to tokens and figures.

import { Problem, complete } from "./api.js";
import { announce, byId, copyText, milliseconds } from "./dom.js";
import { clearProblem, showProblem } from "./errors.js";
import { writeLink } from "./link.js";
import { store } from "./store.js";
import { chunks } from "./stream.js";
import { Timing, wayOfText } from "./timing.js";
import { ALTERNATIVES, TokenView } from "./token-view.js";

/** Fields of the form by their name in the API. */
const NUMBERS = { temperature: "temperature", top_p: "top-p", top_k: "top-k", max_tokens: "max-tokens", seed: "seed" };
const LARGEST_SEED = 2 ** 32;

export class TextView {
  #tokens = new TokenView(byId("written"), byId("alternatives"), () => this.#enable());
  #running = null;
  #prompt = "";

  constructor() {
    this.#newSeed();
    byId("text-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (!byId("keep-seed").checked && !this.isEmpty) this.#newSeed();
      this.generate();
    });
    byId("stop").addEventListener("click", () => this.#running?.abort());
    byId("new-seed").addEventListener("click", () => this.#newSeed());
    byId("copy").addEventListener("click", () => copyText(this.#prompt + this.#tokens.text()));
    byId("continue").addEventListener("click", () => this.#continue());
    byId("colour").addEventListener("change", () => this.#colour());
    byId("model").addEventListener("change", () => this.#describe());
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.#running?.abort());
    store.addEventListener("models", () => this.#offer());
  }

  get isEmpty() {
    return this.#tokens.isEmpty;
  }

  /** Fills the form with the request of a link, and generates. */
  follow(request) {
    byId("prompt").value = request.prompt;
    if (request.model) byId("model").value = request.model;
    for (const [name, id] of Object.entries(NUMBERS)) byId(id).value = request[name] ?? "";
    byId("keep-seed").checked = true;
    this.#describe();
    if (byId("text-form").reportValidity()) this.generate();
  }

  /** Sends the form's request and shows what comes. */
  async generate() {
    this.#running?.abort();
    const request = this.#request();
    const control = new AbortController();
    this.#running = control;
    this.#begin(request);
    const timing = new Timing();
    try {
      const body = { ...request, stream: true, stream_options: { include_usage: true }, logprobs: ALTERNATIVES };
      const response = await complete(body, control.signal, () => announce("The server is loading its models."));
      for await (const chunk of chunks(response)) this.#take(chunk, timing, request.model);
      drawFigures(timing);
      announce(`Done: ${timing.tokens} tokens.`);
    } catch (error) {
      this.#fail(error, timing);
    } finally {
      if (this.#running === control) {
        this.#running = null;
        this.#enable();
      }
    }
  }

  #request() {
    const numbers = Object.entries(NUMBERS).filter(([, id]) => byId(id).value !== "");
    const values = numbers.map(([name, id]) => [name, Number(byId(id).value)]);
    return { model: byId("model").value, prompt: byId("prompt").value, ...Object.fromEntries(values) };
  }

  #begin(request) {
    clearProblem();
    writeLink(request);
    this.#prompt = request.prompt;
    this.#tokens.clear(request.prompt);
    this.#colour();
    for (const id of ["speed", "first-token", "context-use"]) byId(id).textContent = "–";
    this.#enable();
    announce("Generating.");
  }

  #take(chunk, timing, model) {
    for (const choice of chunk.choices) {
      if (choice.logprobs) timing.count(1);
      this.#tokens.append(choice.text, tokenOf(choice.logprobs));
    }
    timing.report = chunk.carafe ?? timing.report;
    drawFigures(timing);
    // The report comes with the last choice, the numbers of tokens right after it.
    if (chunk.usage) drawContext(chunk.usage, model);
    if (chunk.usage) store.setLatest(wayOfText(timing.report, chunk.usage, model));
    if (!this.isEmpty) this.#enable();
  }

  #fail(error, timing) {
    if (error.name === "AbortError") {
      announce(`Stopped after ${timing.tokens} tokens.`);
      return;
    }
    if (!(error instanceof Problem)) throw error;
    announce("");
    showProblem(error, () => this.generate());
  }

  #enable() {
    const running = this.#running !== null;
    byId("stop").disabled = !running;
    byId("generate").disabled = running || byId("model").options.length === 0;
    for (const id of ["copy", "continue"]) byId(id).disabled = this.isEmpty;
  }

  #newSeed() {
    byId("seed").value = Math.floor(Math.random() * LARGEST_SEED);
  }

  #colour() {
    const on = byId("colour").checked;
    byId("written").classList.toggle("coloured", on);
    byId("legend").hidden = !on;
  }

  /** Makes the text so far, up to the chosen token, the next prompt. */
  #continue() {
    byId("prompt").value = this.#prompt + this.#tokens.text();
    this.generate();
  }

  #offer() {
    const options = store.modelsOf("text-generation").map((model) => new Option(model.id, model.id));
    const chosen = byId("model").value;
    byId("model").replaceChildren(...options);
    if (options.some((option) => option.value === chosen)) byId("model").value = chosen;
    this.#describe();
    this.#enable();
  }

  #describe() {
    const model = store.models.find((candidate) => candidate.id === byId("model").value);
    byId("model-hint").textContent = model ? `${model.description}. Context: ${model.context_length} tokens.` : "";
  }
}

/**
 * A token's logarithm of its probability, and those of its alternatives, out of the `logprobs` of a
 * completion.
 */
function tokenOf(logprobs) {
  if (!logprobs) return null;
  return { logprob: logprobs.token_logprobs[0], alternatives: Object.entries(logprobs.top_logprobs[0] ?? {}) };
}

/** Shows the figures as far as they are known. */
function drawFigures(timing) {
  if (timing.tokens === 0) return;
  byId("first-token").textContent = milliseconds(timing.firstToken);
  const speed = timing.tokensPerSecond;
  if (speed !== null) byId("speed").textContent = `${speed.toFixed(0)} tokens/s`;
}

function drawContext(usage, model) {
  const length = store.models.find((candidate) => candidate.id === model)?.context_length;
  byId("context-use").textContent = `${usage.total_tokens} of ${length} tokens`;
}
