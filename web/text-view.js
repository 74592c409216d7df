// The text panel: from the form to a request, from the stream to tokens and figures.

import { Problem, complete } from "./api.js";
import { announce, byId, milliseconds } from "./dom.js";
import { clearProblem, showProblem } from "./errors.js";
import { readLink, writeLink } from "./link.js";
import { store } from "./store.js";
import { chunks } from "./stream.js";
import { ALTERNATIVES, TokenView } from "./token-view.js";

/** Fields of the form by their name in the API. */
const NUMBERS = { temperature: "temperature", top_p: "top-p", top_k: "top-k", max_tokens: "max-tokens", seed: "seed" };
const LARGEST_SEED = 2 ** 32;

/** Seconds that tokens must have taken before their speed is shown. */
const SHORTEST = 0.25;

export class TextView {
  #tokens = new TokenView(() => this.#enable());
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
    byId("copy").addEventListener("click", () => this.#copy());
    byId("continue").addEventListener("click", () => this.#continue());
    byId("model").addEventListener("change", () => this.#describe());
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.#running?.abort());
    store.addEventListener("models", () => this.#offer());
    addEventListener("hashchange", () => this.followLink());
  }

  get isEmpty() {
    return this.#tokens.isEmpty;
  }

  /** Fills the form from the address bar and generates, if a whole request is there. */
  followLink() {
    const request = readLink();
    if (!request) return;
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
    const timing = { started: performance.now(), first: 0, last: 0, tokens: 0, report: null };
    try {
      const body = { ...request, stream: true, stream_options: { include_usage: true }, logprobs: ALTERNATIVES };
      const response = await complete(body, control.signal, () => announce("The server is loading its models."));
      for await (const chunk of chunks(response)) this.#take(chunk, timing, request.model);
      drawWholeSpeed(timing);
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
    for (const id of ["speed", "first-token", "context-use"]) byId(id).textContent = "–";
    this.#enable();
    announce("Generating.");
  }

  #take(chunk, timing, model) {
    for (const choice of chunk.choices) {
      if (choice.logprobs) count(timing);
      this.#tokens.append(choice.text, choice.logprobs);
    }
    drawSpeed(timing);
    timing.report = chunk.carafe ?? timing.report;
    // The report comes with the last choice, the numbers of tokens right after it.
    if (chunk.usage) drawContext(chunk.usage, model);
    if (chunk.usage) store.setLatest(wayOf(timing.report, chunk.usage, model));
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

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.#prompt + this.#tokens.text());
      announce("Copied.");
    } catch {
      announce("The browser does not allow copying here; select the text and copy it yourself.");
    }
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

function count(timing) {
  timing.last = performance.now();
  timing.first ||= timing.last;
  timing.tokens += 1;
}

function drawSpeed(timing) {
  if (timing.tokens === 0) return;
  byId("first-token").textContent = milliseconds(timing.first - timing.started);
  const seconds = (timing.last - timing.first) / 1000;
  // Tokens that arrive together would only look fast.
  if (seconds > SHORTEST) drawTokensPerSecond(timing.tokens - 1, seconds);
}

/** The speed of the whole text by the server's own clock. */
function drawWholeSpeed({ report, tokens }) {
  if (tokens > 1) drawTokensPerSecond(tokens - 1, (report.total_ms - report.first_token_ms) / 1000);
}

function drawTokensPerSecond(tokens, seconds) {
  byId("speed").textContent = `${(tokens / seconds).toFixed(0)} tokens/s`;
}

function drawContext(usage, model) {
  const length = store.models.find((candidate) => candidate.id === model)?.context_length;
  byId("context-use").textContent = `${usage.total_tokens} of ${length} tokens`;
}

/** The way of a text, for the panel under the hood. */
function wayOf(report, usage, model) {
  const rest = Math.max(report.total_ms - report.queue_ms - report.sandbox_ms - report.model_ms, 0);
  return {
    summary: `Text by ${model}, profile ${report.profile}: ${usage.completion_tokens} tokens in ${report.steps} steps`,
    total: report.total_ms,
    queue: report.queue_ms,
    server: rest,
    sandbox: report.sandbox_ms,
    sandboxDoes: "tokenizer, sampler and scheduler: a WebAssembly guest that reaches nothing but wasi-nn",
    native: report.model_ms,
  };
}
