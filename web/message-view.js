// Draws one message of a conversation: who says it, the thought apart, the text as Markdown or as
// tokens, and what can be done with it.

import { byId, copyText, element } from "./dom.js";
import { MarkdownView } from "./markdown-view.js";
import { TokenView } from "./token-view.js";

export class MessageView {
  /** The element that shows the message. */
  node;

  /** The message that is shown. */
  message;

  #body = element("div", { class: "body" });
  #markdown = new MarkdownView();
  #thought = null;
  #probabilities = null;
  #note = element("p", { class: "hint note" });
  #actions = element("div", { class: "row actions" });
  #handlers;

  /**
   * Shows a message by a speaker of this name. Handlers: `edit(text)` of a user's message,
   * `regenerate()` of an answer.
   */
  constructor(message, name, handlers) {
    [this.message, this.#handlers] = [message, handlers];
    this.#body.append(this.#markdown.node);
    const heading = element("h3", {}, name);
    this.node = element("li", { class: `message ${message.role}` }, heading, this.#body, this.#note, this.#actions);
    if (message.thought !== "") this.#thinkingAt(false).append(message.thought);
    this.#markdown.append(message.content);
    this.#markdown.flush();
  }

  /** Shows more of the model's thought. */
  appendThought(text) {
    this.message.thought += text;
    this.#thinkingAt(true).append(text);
  }

  /** Shows more of the answer; a thought that stood open is closed when it begins. */
  append(text) {
    if (this.#thought && this.message.content === "" && text !== "") this.#thought.open = false;
    this.message.content += text;
    this.#markdown.append(text);
  }

  /** Draws all that has come. */
  flush() {
    this.#markdown.flush();
  }

  /** Says something small under the message: texts and elements. */
  note(...parts) {
    this.#note.replaceChildren(...parts);
  }

  /** Offers what can be done with the message now; nothing while an answer is `running`. */
  offer({ running, isLast }) {
    if (running) this.#actions.replaceChildren();
    else this.#actions.replaceChildren(...(this.message.role === "user" ? this.#ofUser(isLast) : this.#ofAnswer(isLast)));
  }

  /** Where the thought is written. */
  #thinkingAt(open) {
    if (!this.#thought) {
      const text = element("p", { class: "thought-text" });
      this.#thought = element("details", { class: "thought", open }, element("summary", {}, "Thought"), text);
      this.#body.before(this.#thought);
    }
    return this.#thought.lastElementChild;
  }

  #ofUser(isLast) {
    const again = button("Send again", () => this.#handlers.edit(this.message.content));
    return [this.#copyButton(), button("Edit", () => this.#edit()), ...(isLast ? [again] : [])];
  }

  #ofAnswer(isLast) {
    const tokens = button("Probabilities", () => this.#toggleProbabilities(tokens));
    tokens.setAttribute("aria-pressed", String(this.#probabilities !== null));
    const again = button("Regenerate", () => this.#handlers.regenerate());
    return [this.#copyButton(), ...(this.message.tokens.length > 0 ? [tokens] : []), ...(isLast ? [again] : [])];
  }

  #copyButton() {
    return button("Copy", () => copyText(this.message.content));
  }

  /** Replaces the text by a field until the message is sent anew or left as it was. */
  #edit() {
    const field = element("textarea", { rows: 3, value: this.message.content, required: true, "aria-label": "Your message" });
    const send = element("button", { type: "submit", class: "primary" }, "Send anew");
    const leave = () => {
      form.replaceWith(this.#markdown.node);
      this.#actions.hidden = false;
      this.#actions.querySelector("button:nth-of-type(2)").focus();
    };
    const hint = element("p", { class: "hint" }, "The messages after this one will be dropped.");
    const form = element("form", {}, field, hint, element("div", { class: "row" }, send, button("Cancel", leave)));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#handlers.edit(field.value);
    });
    sendOnEnter(field, form);
    field.addEventListener("keydown", (event) => event.key === "Escape" && leave());
    this.#markdown.node.replaceWith(form);
    this.#actions.hidden = true;
    field.focus();
  }

  #toggleProbabilities(toggle) {
    if (this.#probabilities) {
      this.#probabilities.replaceWith(this.#markdown.node);
      this.#probabilities = null;
    } else {
      this.#probabilities = drawProbabilities(this.message.tokens);
      this.#markdown.node.replaceWith(this.#probabilities);
    }
    toggle.setAttribute("aria-pressed", String(this.#probabilities !== null));
  }
}

/**
 * Enter sends a form, Shift-Enter begins a new line; Enter that only ends an input method's word
 * does neither.
 */
export function sendOnEnter(field, form) {
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
}

/** A button that does this. */
export function button(text, act) {
  const node = element("button", { type: "button" }, text);
  node.addEventListener("click", act);
  return node;
}

/** The tokens of an answer in colours, what these mean, and the alternatives of the chosen one. */
function drawProbabilities(tokens) {
  const written = element("p", { class: "written coloured", translate: false });
  const alternatives = element("div", { class: "alternatives", hidden: true });
  const view = new TokenView(written, alternatives);
  for (const { text, token } of tokens) view.append(text, token);
  const legend = byId("legend").cloneNode(true);
  legend.removeAttribute("id");
  legend.hidden = false;
  return element("div", {}, written, legend, alternatives);
}
