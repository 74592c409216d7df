// What there is to know of a text's speed, and the way that its request went.

/**
 * Seconds that tokens must have taken before their speed is shown: tokens that arrive together
 * would only look fast.
 */
const SHORTEST = 0.25;

/** The clock of one streamed answer. */
export class Timing {
  #started = performance.now();
  #first = 0;
  #last = 0;

  /** Tokens that have come. */
  tokens = 0;

  /** The server's `carafe` report, once it has come. */
  report = null;

  /** Tokens came just now. */
  count(tokens) {
    if (tokens === 0) return;
    this.#last = performance.now();
    this.#first ||= this.#last;
    this.tokens += tokens;
  }

  /** Milliseconds until the first token was here. */
  get firstToken() {
    return this.#first - this.#started;
  }

  /**
   * Tokens per second after the first: by the server's own clock if it has reported, else by the
   * page's; null while that says nothing.
   */
  get tokensPerSecond() {
    if (this.tokens < 2) return null;
    if (this.report) return ((this.tokens - 1) * 1000) / (this.report.total_ms - this.report.first_token_ms);
    const seconds = (this.#last - this.#first) / 1000;
    return seconds > SHORTEST ? (this.tokens - 1) / seconds : null;
  }
}

/** The way of a text, for the panel under the hood. */
export function wayOfText(report, usage, model) {
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
