// The address bar as a request: its fragment holds the prompt, the model and every parameter, so that a copied link gives the same text.

/** Names in the fragment and whether they are numbers. */
const FIELDS = {
  prompt: String,
  model: String,
  temperature: Number,
  top_p: Number,
  top_k: Number,
  max_tokens: Number,
  seed: Number,
};

/** The request in the address bar; null if there is no whole one. */
export function readLink() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const known = Object.entries(FIELDS).filter(([name]) => parameters.has(name));
  const request = Object.fromEntries(known.map(([name, type]) => [name, type(parameters.get(name))]));
  return request.prompt && Number.isSafeInteger(request.seed) ? request : null;
}

/** Puts a request into the address bar, without a new entry in the history. */
export function writeLink(request) {
  const parameters = new URLSearchParams();
  for (const name of Object.keys(FIELDS)) {
    if (request[name] !== undefined) parameters.set(name, request[name]);
  }
  history.replaceState(null, "", `#${parameters}`);
}
