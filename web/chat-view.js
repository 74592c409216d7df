// The chat panel: from the form to a request, from the stream to an answer, and the conversation
// between them.

import { Problem, chat } from "./api.js";
import { Conversation } from "./conversation.js";
import { announce, byId, milliseconds } from "./dom.js";
import { clearProblem, showProblem } from "./errors.js";
import { clearLink, writeLink } from "./link.js";
import { MessageView, button, sendOnEnter } from "./message-view.js";
import { store } from "./store.js";
import { chunks } from "./stream.js";
import { Timing, wayOfText } from "./timing.js";
import { ALTERNATIVES } from "./token-view.js";

/**
 * Fields of the form by their name in the API. An empty one leaves the choice to the model, the
 * seed to chance.
 */
const NUMBERS = {
  temperature: "chat-temperature",
  top_p: "chat-top-p",
  top_k: "chat-top-k",
  max_tokens: "chat-max-tokens",
  seed: "chat-seed",
};

/** What the API does where neither the request nor the model says anything. */
const DEFAULTS = { temperature: 1, top_p: 1, top_k: "all", max_tokens: "no limit", seed: "by chance" };
const LARGEST_SEED = 2 ** 32;

export class ChatView {
  #conversation = new Conversation();
  #views = [];
  #running = null;
  #follows = true;
  #scrolled = 0;

  constructor() {
    byId("chat-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#running) this.#send();
    });
    sendOnEnter(byId("message"), byId("chat-form"));
    byId("chat-stop").addEventListener("click", () => this.#running?.abort());
    byId("new-conversation").addEventListener("click", () => this.#restart());
    byId("export").addEventListener("click", () => this.#export());
    // A value that cannot be sent must be seen, not lie in a closed box.
    byId("chat-controls").addEventListener("invalid", () => (byId("chat-controls").open = true), true);
    byId("chat-model").addEventListener("change", () => this.#describe());
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.#running?.abort());
    document.addEventListener("scroll", () => this.#watchScrolling());
    new ResizeObserver(() => this.#keepUp()).observe(byId("messages"));
    store.addEventListener("models", () => this.#offer());
  }

  /** Fills the panel with the request of a link: its last message waits to be sent. */
  follow(request) {
    this.#forget();
    const question = request.messages.at(-1);
    this.#conversation.fill(request.messages.slice(0, -1));
    this.#choose(request.model);
    byId("chat-system").value = this.#conversation.system;
    byId("chat-system-details").open = this.#conversation.system !== "";
    for (const [name, id] of Object.entries(NUMBERS)) byId(id).value = request[name] ?? "";
    byId("chat-controls").open = true;
    for (const message of this.#conversation.messages) this.#show(message);
    byId("message").value = question.content;
    this.#enable();
    announce("The conversation of the link is here. Send its last message to have the answer.");
  }

  /** Chooses a link's model, and says so if it is not here. */
  #choose(name) {
    const here = store.chatModels().some((model) => model.id === name);
    if (here) byId("chat-model").value = name;
    this.#describe();
    if (name && !here) byId("chat-model-hint").prepend(`The link asks for ${name}, which this server does not have. `);
  }

  #send() {
    this.#show(this.#conversation.add("user", byId("message").value));
    byId("message").value = "";
    this.#answer();
  }

  /** Asks for an answer to the conversation, and shows it as it comes. */
  async #answer() {
    const request = this.#request();
    const control = new AbortController();
    this.#running = control;
    this.#begin(request);
    const view = this.#show(this.#conversation.add("assistant"), request.model);
    this.#enable();
    const timing = new Timing();
    const end = { reason: null, usage: null };
    try {
      const extras = { stream: true, stream_options: { include_usage: true }, logprobs: true, top_logprobs: ALTERNATIVES };
      const response = await chat({ ...request, ...extras }, control.signal, () => announce("The server is loading its models."));
      for await (const chunk of chunks(response)) take(chunk, view, timing, end);
      this.#finish(view, timing, end, request);
    } catch (error) {
      this.#fail(error, view, timing);
    } finally {
      if (this.#running === control) this.#running = null;
      this.#enable();
    }
  }

  #request() {
    this.#conversation.system = byId("chat-system").value;
    const numbers = Object.entries(NUMBERS).filter(([, id]) => byId(id).value !== "");
    const values = Object.fromEntries(numbers.map(([name, id]) => [name, Number(byId(id).value)]));
    const seed = Math.floor(Math.random() * LARGEST_SEED);
    return { model: byId("chat-model").value, messages: this.#conversation.toApi(), seed, ...values };
  }

  #begin(request) {
    clearProblem();
    byId("link-hint").hidden = writeLink(request);
    this.#follows = true;
    announce("Waiting for the answer.");
  }

  #finish(view, timing, { reason, usage }, request) {
    view.flush();
    const length = modelOf(request.model)?.context_length;
    const isFull = reason === "length" && usage?.total_tokens >= length;
    const cut = isFull ? `The context of ${length} tokens is full, so the answer ends here. ` : "The answer was cut at max tokens. ";
    view.note(reason === "length" ? cut : "", figures(timing, usage, length), ` Seed ${request.seed}.`);
    if (isFull) view.note(cut, button("New conversation", () => this.#restart()));
    if (timing.report && usage) store.setLatest(wayOfText(timing.report, usage, request.model));
    announce(`Answer: ${view.message.content}`);
  }

  /** Keeps what has come of an answer; one of which nothing came is taken back. */
  #fail(error, view, timing) {
    view.flush();
    if (view.message.content === "" && view.message.thought === "") this.#drop(view.message);
    if (error.name === "AbortError") {
      view.note("Stopped.");
      announce(`Stopped after ${timing.tokens} tokens.`);
      return;
    }
    if (!(error instanceof Problem)) throw error;
    view.note("The answer broke off.");
    announce("");
    showProblem(error, () => this.#regenerate(view.message), () => this.#restart());
  }

  /** Answers the last question anew. */
  #regenerate(answer) {
    if (this.#running) return;
    this.#drop(answer);
    byId("message").focus();
    this.#answer();
  }

  /** Sends a question anew, in these words; what was said after it is dropped. */
  #resend(question, text) {
    if (this.#running) return;
    this.#drop(question);
    this.#show(this.#conversation.add("user", text));
    byId("message").focus();
    this.#answer();
  }

  #show(message, model = byId("chat-model").value) {
    const handlers = { edit: (text) => this.#resend(message, text), regenerate: () => this.#regenerate(message) };
    const view = new MessageView(message, message.role === "user" ? "You" : model, handlers);
    this.#views.push(view);
    byId("messages").append(view.node);
    return view;
  }

  /** Drops a message and all after it, if it is still there. */
  #drop(message) {
    if (!this.#conversation.messages.includes(message)) return;
    const dropped = new Set(this.#conversation.dropFrom(message));
    for (const view of this.#views.filter((shown) => dropped.has(shown.message))) view.node.remove();
    this.#views = this.#views.filter((view) => !dropped.has(view.message));
  }

  /** Begins a new conversation; the system prompt and the parameters stay. */
  #restart() {
    this.#forget();
    clearLink();
    announce("A new conversation.");
    byId("message").focus();
    this.#enable();
  }

  #forget() {
    this.#running?.abort();
    if (this.#conversation.messages.length > 0) this.#drop(this.#conversation.messages[0]);
    clearProblem();
    byId("link-hint").hidden = true;
  }

  /** Gives the conversation to the browser as a file: the body of a request to the API. */
  #export() {
    const { seed, ...request } = this.#request();
    const body = byId("chat-seed").value === "" ? request : { ...request, seed };
    const file = new Blob([`${JSON.stringify(body, null, 2)}\n`], { type: "application/json" });
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(file), download: "conversation.json" });
    link.click();
    URL.revokeObjectURL(link.href);
  }

  #enable() {
    const running = this.#running !== null;
    const empty = this.#views.length === 0;
    byId("chat-stop").disabled = !running;
    byId("send").disabled = running || byId("chat-model").options.length === 0;
    byId("new-conversation").disabled = empty;
    byId("export").disabled = running || empty;
    byId("no-messages").hidden = !empty;
    for (const view of this.#views) view.offer({ running, isLast: this.#conversation.isLast(view.message) });
  }

  #offer() {
    const chosen = byId("chat-model").value;
    byId("chat-model").replaceChildren(...store.chatModels().map((model) => new Option(model.id, model.id)));
    if (modelOf(chosen)) byId("chat-model").value = chosen;
    this.#describe();
    this.#enable();
  }

  /** Says what the chosen model is, and shows its own parameters where none are set. */
  #describe() {
    const model = modelOf(byId("chat-model").value);
    byId("chat-model-hint").textContent = model ? `${model.description}. Context: ${model.context_length} tokens.` : "";
    for (const [name, id] of Object.entries(NUMBERS)) byId(id).placeholder = model?.generation?.[name] ?? DEFAULTS[name];
  }

  /** Scrolling up is for reading; back at the end, the page follows the answer again. */
  #watchScrolling() {
    const atEnd = byId("chat-form").getBoundingClientRect().bottom <= innerHeight + 1;
    if (atEnd || scrollY < this.#scrolled) this.#follows = atEnd;
    this.#scrolled = scrollY;
  }

  #keepUp() {
    if (this.#running && this.#follows) byId("chat-form").scrollIntoView({ block: "nearest" });
  }
}

const modelOf = (name) => store.chatModels().find((model) => model.id === name);

/** Takes one chunk of a streamed answer. */
function take(chunk, view, timing, end) {
  for (const { delta, logprobs, finish_reason: reason } of chunk.choices) {
    timing.count(logprobs?.content?.length ?? 0);
    if (delta.reasoning_content) view.appendThought(delta.reasoning_content);
    // Tokens of the reasoning are not shown; a chunk that has both ends it.
    if (delta.content || !delta.reasoning_content) keepTokens(view.message.tokens, delta.content ?? "", logprobs?.content ?? []);
    if (delta.content) view.append(delta.content);
    end.reason = reason ?? end.reason;
  }
  timing.report = chunk.carafe ?? timing.report;
  end.usage = chunk.usage ?? end.usage;
}

/** Keeps the tokens of a piece of the answer; several that come together have each its own text. */
function keepTokens(tokens, content, entries) {
  if (entries.length > 1) tokens.push(...entries.map((entry) => ({ text: entry.token, token: tokenOf(entry) })));
  else if (content !== "") tokens.push({ text: content, token: entries.length === 1 ? tokenOf(entries[0]) : null });
}

const tokenOf = ({ logprob, top_logprobs: top }) => ({ logprob, alternatives: top.map((other) => [other.token, other.logprob]) });

/** An answer's figures in words. */
function figures(timing, usage, length) {
  const speed = timing.tokensPerSecond;
  const parts = [
    usage && `${usage.completion_tokens} tokens`,
    speed !== null && `${speed.toFixed(0)} tokens/s`,
    timing.tokens > 0 && `the first after ${milliseconds(timing.firstToken)}`,
    usage && `${usage.total_tokens} of ${length} tokens of context used`,
  ];
  return `${parts.filter(Boolean).join(", ")}.`;
}
