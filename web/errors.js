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

/** Shows a problem, and how to go on: `retry` repeats what failed. */
export function showProblem(problem, retry) {
  const box = element("div", { class: "problem" }, element("p", {}, sentence(problem)));
  if (problem.code === "invalid_api_key") box.append(keyForm(retry));
  else if (PASSING.has(problem.code)) box.append(retryButton(retry));
  byId("problem").replaceChildren(box);
  box.scrollIntoView({ block: "nearest" });
}

function sentence(problem) {
  const words = SENTENCES[problem.code];
  if (!words) return `The server refused this: ${problem.message}.`;
  return problem.status === 413 || problem.status === 415 ? `${words} The server says: ${problem.message}.` : words;
}

function retryButton(retry) {
  const button = element("button", { type: "button" }, "Try again");
  button.addEventListener("click", () => {
    clearProblem();
    retry();
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
