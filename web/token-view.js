// The text as the tokens that it is made of: coloured by their probability, each with the
// alternatives that the model saw.
//
// The tokens are one stop of the Tab key; within them the arrow keys move, Enter shows a token's
// alternatives.

import { element, percent } from "./dom.js";

/** How many alternatives of a token are shown. */
export const ALTERNATIVES = 5;

const LEVELS = [0.03, 0.15, 0.4, 0.75];
const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };

export class TokenView {
  #written;
  #alternatives;
  #onChoose;
  #tokens = [];
  #chosen = null;

  /**
   * Shows tokens in one element and the chosen one's alternatives in another; `onChoose` is called
   * when a choice changes.
   */
  constructor(written, alternatives, onChoose = () => {}) {
    [this.#written, this.#alternatives, this.#onChoose] = [written, alternatives, onChoose];
    written.addEventListener("keydown", (event) => this.#move(event));
  }

  /** Starts anew, after this prompt. */
  clear(prompt) {
    this.#tokens = [];
    this.#choose(null);
    this.#written.replaceChildren(element("span", { class: "prompt" }, prompt));
  }

  /** Whether there is anything. */
  get isEmpty() {
    return this.#tokens.length === 0;
  }

  /**
   * Appends text, and what the model thought of its token: `{ logprob, alternatives: [[text,
   * logprob], …] }`, or null.
   */
  append(text, token) {
    if (text === "") return;
    const last = this.#tokens.at(-1);
    if (!token && last) {
      last.node.append(text);
      last.text += text;
      return;
    }
    this.#add(text, token ?? { logprob: 0, alternatives: [] });
  }

  /** The text up to the chosen token, that included; all of it if none is chosen. */
  text() {
    const end = this.#chosen ? this.#tokens.indexOf(this.#chosen) + 1 : this.#tokens.length;
    return this.#tokens.slice(0, end).map((token) => token.text).join("");
  }

  #add(text, { logprob, alternatives }) {
    const probability = Math.exp(logprob);
    const level = LEVELS.filter((bound) => probability > bound).length;
    const node = element("span", { class: `token p${level}`, role: "button", "aria-pressed": "false" }, text);
    node.tabIndex = this.isEmpty ? 0 : -1;
    node.title = `${percent(probability)} probable`;
    if (text.trim() === "") node.setAttribute("aria-label", text.includes("\n") ? "line break" : "space");
    const token = { node, text, probability, alternatives };
    node.addEventListener("click", () => this.#choose(token));
    this.#tokens.push(token);
    this.#written.append(node);
  }

  #choose(token) {
    this.#chosen?.node.setAttribute("aria-pressed", "false");
    this.#chosen = token === this.#chosen ? null : token;
    this.#chosen?.node.setAttribute("aria-pressed", "true");
    if (this.#chosen) this.#rove(this.#chosen);
    drawAlternatives(this.#alternatives, this.#chosen);
    this.#onChoose();
  }

  /** Makes a token the one that the Tab key reaches. */
  #rove(token) {
    for (const other of this.#tokens) other.node.tabIndex = other === token ? 0 : -1;
  }

  #move(event) {
    const place = this.#tokens.findIndex((token) => token.node === event.target);
    if (place < 0) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.#choose(this.#tokens[place]);
    } else if (event.key in STEPS) {
      event.preventDefault();
      const next = Math.min(Math.max(place + STEPS[event.key], 0), this.#tokens.length - 1);
      this.#rove(this.#tokens[next]);
      this.#tokens[next].node.focus();
    }
  }
}

function drawAlternatives(box, token) {
  box.hidden = token === null;
  if (!token) return;
  const said = `The model gave ${visible(token.text)} ${percent(token.probability)}. Its five best at this position:`;
  // The token itself comes as well where it is none of the best; and an object puts keys that are
  // numbers first.
  const best = token.alternatives.toSorted(([, left], [, right]) => right - left).slice(0, ALTERNATIVES);
  const bars = best.map(([text, logprob]) => bar(visible(text), Math.exp(logprob)));
  const list = element("ol", { class: "bars", "aria-label": "Alternatives" }, ...bars);
  box.replaceChildren(element("h4", {}, "Alternatives"), element("p", {}, said), list);
}

/** A token's text between quotes, its white space shown. */
function visible(text) {
  return `“${text.replaceAll(" ", "␣").replaceAll("\n", "⏎").replaceAll("\t", "⇥")}”`;
}

/** A label, its share in numbers and as a bar. */
export function bar(text, share) {
  const meter = element("meter", { min: 0, max: 1, value: share, "aria-hidden": "true" });
  return element("li", { class: "bar" }, element("span", {}, text), element("span", { class: "value" }, percent(share)), meter);
}
