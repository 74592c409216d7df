// The address bar as a request: its fragment, which no browser sends to a server, holds the model,
// every parameter, and a prompt or the messages of a conversation. So a copied link asks for the
// same text.

import { Problem } from "./api.js";
import { isQuestion } from "./conversation.js";

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

/** Letters of a link at most: programs that pass links on cut longer ones. */
const MAX_LENGTH = 32_000;

/**
 * The request in the address bar, with `prompt` or `messages`; null if there is no whole one. A
 * conversation that cannot be read is a `Problem`.
 */
export function readLink() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const known = Object.entries(FIELDS).filter(([name]) => parameters.has(name));
  const request = Object.fromEntries(known.map(([name, type]) => [name, type(parameters.get(name))]));
  if (parameters.has("messages")) return { ...request, messages: readMessages(parameters.get("messages")) };
  return request.prompt && Number.isSafeInteger(request.seed) ? request : null;
}

function readMessages(text) {
  try {
    const messages = JSON.parse(text);
    if (isQuestion(messages)) return messages;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new Problem("damaged_link", "the link's `messages` are no list of messages that ends with one of the user");
}

/**
 * Puts a request into the address bar, without a new entry in the history; false, and no link, if
 * it is too long.
 */
export function writeLink(request) {
  const parameters = new URLSearchParams();
  for (const name of Object.keys(FIELDS)) {
    if (request[name] !== undefined) parameters.set(name, request[name]);
  }
  if (request.messages) parameters.set("messages", JSON.stringify(request.messages));
  const fits = String(parameters).length <= MAX_LENGTH;
  if (fits) history.replaceState(null, "", `#${parameters}`);
  else clearLink();
  return fits;
}

/** Takes the request out of the address bar. */
export function clearLink() {
  history.replaceState(null, "", location.pathname + location.search);
}
