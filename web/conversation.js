// A conversation: what was said so far, and the same in the words of the API. It knows neither the
// server nor the page.

/** Who speaks: the names of the API. */
const ROLES = new Set(["system", "user", "assistant"]);

/**
 * A message. Of an answer also what the model thought before, and its tokens for `token-view.js`:
 * `{ text, token }`.
 */
class Message {
  thought = "";
  tokens = [];

  constructor(role, content) {
    this.role = role;
    this.content = content;
  }

  /** The message as the API takes it. */
  toApi() {
    const { role, content, thought } = this;
    return thought === "" ? { role, content } : { role, content, reasoning_content: thought };
  }
}

export class Conversation {
  /** The system prompt; empty for none. */
  system = "";

  /** Messages of the user and the model in turn. */
  messages = [];

  /** Takes messages of the API, as a link holds them, instead of what is here. */
  fill(messages) {
    this.system = messages.filter(({ role }) => role === "system").map(({ content }) => content).join("\n\n");
    this.messages = messages.filter(({ role }) => role !== "system").map(fromApi);
  }

  /** Appends what this role says. */
  add(role, content = "") {
    const message = new Message(role, content);
    this.messages.push(message);
    return message;
  }

  /** Drops a message and all after it: these. */
  dropFrom(message) {
    return this.messages.splice(this.messages.indexOf(message));
  }

  /** Whether this is the latest message. */
  isLast(message) {
    return this.messages.at(-1) === message;
  }

  /** The messages as the API takes them. */
  toApi() {
    const system = this.system.trim() === "" ? [] : [{ role: "system", content: this.system }];
    return [...system, ...this.messages.map((message) => message.toApi())];
  }
}

function fromApi({ role, content, reasoning_content: thought = "" }) {
  return Object.assign(new Message(role, content), { thought });
}

/** Whether something is a list of messages that ends with a question, as a link must hold it. */
export function isQuestion(messages) {
  return Array.isArray(messages) && messages.every(isMessage) && messages.at(-1)?.role === "user";
}

function isMessage(message) {
  const { role, content, reasoning_content: thought = "" } = message ?? {};
  return ROLES.has(role) && typeof content === "string" && typeof thought === "string";
}
