// The server's API. What goes wrong is thrown as a `Problem`, which knows what kind of trouble it
// is; `errors.js` finds the words.

const KEY = "carafe-api-key";
const READY_INTERVAL = 1000;

/** A request that was not answered as wished. `code` is the API's, or `unreachable`. */
export class Problem extends Error {
  constructor(code, message, { status = 0, retryAfter = 0 } = {}) {
    super(message);
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter;
  }

  /** Out of the body of an error, as the API and its streams send it. */
  static from(body, response) {
    const error = body?.error ?? {};
    const retryAfter = Number(response?.headers.get("retry-after") ?? 0);
    const message = error.message ?? `the server answered ${response?.status}`;
    return new Problem(error.code ?? error.type ?? "unknown", message, { status: response?.status, retryAfter });
  }
}

/** Keeps an API key for as long as this tab is open. */
export function keepKey(key) {
  sessionStorage.setItem(KEY, key);
}

/**
 * Asks the server, waits while it loads its models, and throws a `Problem` for anything but
 * success.
 */
export async function ask(path, options = {}, onWaiting = () => {}) {
  for (;;) {
    const response = await send(path, options);
    if (response.ok) return response;
    const problem = Problem.from(await response.json().catch(() => null), response);
    if (problem.code !== "not_ready") throw problem;
    onWaiting();
    await untilReady(options.signal);
  }
}

async function send(path, options) {
  const headers = new Headers(options.headers);
  const key = sessionStorage.getItem(KEY);
  if (key) headers.set("authorization", `Bearer ${key}`);
  try {
    return await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("unreachable", "the server does not answer");
  }
}

async function untilReady(signal) {
  do {
    signal?.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, READY_INTERVAL));
  } while ((await send("/readyz", { signal })).status === 503);
}

export async function listModels(onWaiting) {
  const response = await ask("/v1/models", {}, onWaiting);
  return (await response.json()).data;
}

/** Starts a streamed completion; the answer's body is for `stream.js`. */
export function complete(request, signal, onWaiting) {
  return post("/v1/completions", request, signal, onWaiting);
}

/** Starts a streamed answer to a conversation; its body is for `stream.js` as well. */
export function chat(request, signal, onWaiting) {
  return post("/v1/chat/completions", request, signal, onWaiting);
}

function post(path, request, signal, onWaiting) {
  const options = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(request), signal };
  return ask(path, options, onWaiting);
}

/** Classifies a picture; with `input` the answer holds the picture as the model saw it. */
export async function classify(picture, input = false) {
  const headers = { "content-type": picture.type || "application/octet-stream" };
  const response = await ask(`/v1/classify?top=5&input=${input}`, { method: "POST", headers, body: picture });
  return response.json();
}

/** One figure of `/metrics` for each model: `{ tales: 6160384, … }`. */
export async function figures(name) {
  const text = await (await ask("/metrics")).text();
  const line = new RegExp(`^${name}\\{model="([^"]*)"\\} (\\S+)$`, "gmu");
  return Object.fromEntries([...text.matchAll(line)].map(([, model, value]) => [model, Number(value)]));
}
