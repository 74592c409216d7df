// The text as the tokens that it is made of: coloured by their probability, each with the alternatives that the model saw.
//
// The tokens are one stop of the Tab key; within them the arrow keys move, Enter shows a token's alternatives.

import { byId, element, percent } from "./dom.js";

/** How many alternatives of a token are shown. */
export const ALTERNATIVES = 5;

const LEVELS = [0.03, 0.15, 0.4, 0.75];
const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };

export class TokenView {
  #written = byId("written");
  #tokens = [];
  #chosen = null;

  constructor(onChoose) {
    this.onChoose = onChoose;
    this.#written.addEventListener("keydown", (event) => this.#move(event));
    byId("colour").addEventListener("change", () => this.colour());
  }

  /** Starts anew, after this prompt. */
  clear(prompt) {
    this.#tokens = [];
    this.#choose(null);
    this.#written.replaceChildren(element("span", { class: "prompt" }, prompt));
    this.colour();
  }

  /** Whether there is anything. */
  get isEmpty() {
    return this.#tokens.length === 0;
  }

  /** Appends text, and what the model thought of its token: a `logprobs` of the API with one entry, or null. */
  append(text, logprobs) {
    if (text === "") return;
    const last = this.#tokens.at(-1);
    if (!logprobs && last) {
      last.node.append(text);
      last.text += text;
      return;
    }
    this.#add(text, logprobs);
  }

  /** The text up to the chosen token, that included; all of it if none is chosen. */
  text() {
    const end = this.#chosen ? this.#tokens.indexOf(this.#chosen) + 1 : this.#tokens.length;
    return this.#tokens.slice(0, end).map((token) => token.text).join("");
  }

  colour() {
    const on = byId("colour").checked;
    this.#written.classList.toggle("coloured", on);
    byId("legend").hidden = !on;
  }

  #add(text, logprobs) {
    const probability = logprobs ? Math.exp(logprobs.token_logprobs[0]) : 1;
    const level = LEVELS.filter((bound) => probability > bound).length;
    const node = element("span", { class: `token p${level}`, role: "button", "aria-pressed": "false" }, text);
    node.tabIndex = this.isEmpty ? 0 : -1;
    node.title = `${percent(probability)} probable`;
    if (text.trim() === "") node.setAttribute("aria-label", text.includes("\n") ? "line break" : "space");
    const token = { node, text, probability, alternatives: logprobs?.top_logprobs[0] ?? {} };
    node.addEventListener("click", () => this.#choose(token));
    this.#tokens.push(token);
    this.#written.append(node);
  }

  #choose(token) {
    this.#chosen?.node.setAttribute("aria-pressed", "false");
    this.#chosen = token === this.#chosen ? null : token;
    this.#chosen?.node.setAttribute("aria-pressed", "true");
    if (this.#chosen) this.#rove(this.#chosen);
    drawAlternatives(this.#chosen);
    this.onChoose(this.#chosen !== null);
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

function drawAlternatives(token) {
  byId("alternatives").hidden = token === null;
  if (!token) return;
  const said = `The model gave ${visible(token.text)} ${percent(token.probability)}. Its five best at this place:`;
  byId("alternatives-text").textContent = said;
  // The token itself comes as well where it is none of the best; and an object puts keys that are
  // numbers first.
  const best = Object.entries(token.alternatives).sort(([, left], [, right]) => right - left).slice(0, ALTERNATIVES);
  byId("alternatives-list").replaceChildren(...best.map(([text, logprob]) => bar(visible(text), Math.exp(logprob))));
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
