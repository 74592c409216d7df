// Problems in plain sentences, each with a way on. Nothing that a person has typed is lost.

import { keepKey } from "./api.js";
import { byId, element } from "./dom.js";

const SENTENCES = {
  unreachable: "The server does not answer. It may have been stopped; start it with “cargo xtask serve”, then try again.",
  queue_full: "The server is busy with other requests. Wait a moment and try again.",
  draining: "The server is shutting down. Try again when it is back.",
  timeout: "This took longer than one request may take here. Ask for fewer tokens.",
  invalid_api_key: "This server wants an API key.",
  model_failed: "The model failed over this request. The server goes on; you can try again.",
  sandbox_failed: "The sandbox failed over this request and was replaced. The server goes on; you can try again.",
  invalid_logits: "The model gave no usable scores for this text. Another text may work.",
  unsupported_media_type: "This is no JPEG, PNG or BMP picture.",
  image_too_large: "This picture is too large for the sandbox.",
  damaged_link: "This link is damaged: the conversation in it cannot be read. Ask for the link again, or begin a new conversation.",
  no_chat_model: "This link is a conversation, but no model on this server has a chat template. Start one that has, then open the link again.",
  body_too_large: "This is larger than the server takes.",
};

/** Problems that the same request may well not meet a second time. */
const PASSING = new Set([
  "unreachable",
  "queue_full",
  "rate_limit_exceeded",
  "draining",
  "model_failed",
  "sandbox_failed",
  "internal",
]);

export function clearProblem() {
  byId("problem").replaceChildren();
}

/**
 * Shows a problem, and how to go on: `retry` repeats what failed, `restart` begins a new
 * conversation.
 */
export function showProblem(problem, retry, restart) {
  const box = element("div", { class: "problem" }, element("p", {}, sentence(problem)));
  if (problem.code === "invalid_api_key") box.append(keyForm(retry));
  else if (PASSING.has(problem.code)) box.append(actionButton("Try again", retry));
  else if (problem.code === "context_length_exceeded" && restart) box.append(...contextAdvice(restart));
  byId("problem").replaceChildren(box);
  box.scrollIntoView({ block: "nearest" });
}

function sentence(problem) {
  const words = SENTENCES[problem.code];
  if (!words) return `The server refused this: ${problem.message}.${waiting(problem)}`;
  return problem.status === 413 || problem.status === 415 ? `${words} The server says: ${problem.message}.` : words + waiting(problem);
}

/** How long the server asks to wait, if it does. */
function waiting({ retryAfter }) {
  return retryAfter > 0 ? ` It asks you to wait ${retryAfter} ${retryAfter === 1 ? "second" : "seconds"}.` : "";
}

/** What to do where a conversation has become too long for the model. */
function contextAdvice(restart) {
  const advice = "Edit an earlier message, set a smaller number of max tokens, or begin a new conversation.";
  return [element("p", {}, advice), actionButton("New conversation", restart)];
}

function actionButton(text, act) {
  const button = element("button", { type: "button" }, text);
  button.addEventListener("click", () => {
    clearProblem();
    act();
  });
  return button;
}

function keyForm(retry) {
  const input = element("input", { type: "password", id: "api-key", autocomplete: "off", required: true });
  const form = element(
    "form",
    {},
    element("label", { for: "api-key" }, "API key"),
    element("div", { class: "row" }, input, element("button", { type: "submit" }, "Use this key")),
    element("p", { class: "hint" }, "It is kept until this tab is closed."),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    keepKey(input.value.trim());
    clearProblem();
    retry();
  });
  return form;
}
