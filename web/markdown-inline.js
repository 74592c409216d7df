// Reads what is inside a line of Markdown: emphasis, code, links. What is not closed is text.
//
// Emphasis is CommonMark's in the plain cases. Every loop is bounded, so that no text takes long: a
// model may write anything.

/** Emphasis within emphasis; a mark that would open more is text. */
const MAX_OPEN = 16;

const ESCAPE = /\\[!-/:-@[-`{-~]/uy;
const TICKS = /`+/uy;
const LINK = /\[((?:[^[\]\\\n]|\\.)+)\]\((https?:\/\/(?:[^\s()<>]|\([^\s()<>]*\))+)\)/uy;
const STARS = /\*+|_+/uy;
const PLAIN = /[^\\`[*_]+/uy;
const WORD = /[\p{L}\p{N}]/u;
const SPACE = /^\s?$/u;

/**
 * The parts of a text: `{ kind: "text" | "code", text }`, `{ kind: "emphasis" | "strong", children
 * }`, `{ kind: "link", href, children }`, where a link's address begins with `http:` or `https:`.
 */
export function inlines(text) {
  const builder = new Builder();
  const unclosed = new Set();
  for (let at = 0; at < text.length; ) at = readPart(text, at, builder, unclosed);
  return builder.finish();
}

function match(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/**
 * Reads one part; the place after it. `unclosed` has the lengths of backticks that are known to
 * have no end.
 */
function readPart(text, at, builder, unclosed) {
  const escape = match(ESCAPE, text, at);
  if (escape) return builder.text(escape[0][1], at + 2);
  const ticks = match(TICKS, text, at);
  if (ticks) return readCode(text, at, ticks[0], builder, unclosed);
  const link = match(LINK, text, at);
  if (link) return builder.add({ kind: "link", href: link[2], children: inlines(link[1]) }, at + link[0].length);
  const marks = match(STARS, text, at);
  if (marks) return readMarks(text, at, marks[0], builder);
  const plain = match(PLAIN, text, at)?.[0] ?? text[at];
  return builder.text(plain, at + plain.length);
}

function readCode(text, at, ticks, builder, unclosed) {
  const begin = at + ticks.length;
  const end = unclosed.has(ticks.length) ? -1 : closingTicks(text, begin, ticks.length);
  if (end < 0) {
    unclosed.add(ticks.length);
    return builder.text(ticks, begin);
  }
  return builder.add({ kind: "code", text: text.slice(begin, end) }, end + ticks.length);
}

function closingTicks(text, from, length) {
  for (let at = text.indexOf("`", from); at >= 0; at = text.indexOf("`", at)) {
    const run = match(TICKS, text, at)[0].length;
    if (run === length) return at;
    at += run;
  }
  return -1;
}

/** Stars and underscores: they close what is open, else they open, else they are text. */
function readMarks(text, at, marks, builder) {
  const end = at + marks.length;
  const [before, after] = [text[at - 1] ?? "", text[end] ?? ""];
  const inWord = marks[0] === "_" && WORD.test(before) && WORD.test(after);
  const closes = !SPACE.test(before) && !inWord;
  const opens = !SPACE.test(after) && !inWord;
  let rest = marks;
  while (rest && closes) {
    const closed = builder.close(rest);
    if (!closed) break;
    rest = rest.slice(closed.length);
  }
  while (rest && opens && rest.length <= 3) {
    const mark = rest.slice(0, 2);
    if (!builder.open(mark)) break;
    rest = rest.slice(mark.length);
  }
  return builder.text(rest, end);
}

/** Parts, and the emphasis around those that are being read. */
class Builder {
  #open = [{ mark: "", children: [] }];

  /** Appends a part; gives back the place after it. */
  add(part, end) {
    this.#open.at(-1).children.push(part);
    return end;
  }

  /** Appends text. */
  text(text, end) {
    const { children } = this.#open.at(-1);
    const last = children.at(-1);
    if (text === "") return end;
    if (last?.kind !== "text") return this.add({ kind: "text", text }, end);
    last.text += text;
    return end;
  }

  /** Opens emphasis, if not too much is open. */
  open(mark) {
    if (this.#open.length > MAX_OPEN) return false;
    this.#open.push({ mark, children: [] });
    return true;
  }

  /** Closes the innermost emphasis that these marks can close; its mark, or null. */
  close(marks) {
    const place = this.#open.findLastIndex(({ mark, children }) => mark !== "" && marks.startsWith(mark) && children.length > 0);
    if (place < 1) return null;
    this.#flatten(place);
    const { mark, children } = this.#open.pop();
    this.add({ kind: mark.length === 2 ? "strong" : "emphasis", children }, 0);
    return mark;
  }

  /** The parts; what was never closed is text again. */
  finish() {
    this.#flatten(0);
    return this.#open[0].children;
  }

  /** Makes text of the marks that are open inside this one. */
  #flatten(place) {
    while (this.#open.length > place + 1) {
      const { mark, children } = this.#open.pop();
      this.text(mark, 0);
      for (const child of children) {
        if (child.kind === "text") this.text(child.text, 0);
        else this.add(child, 0);
      }
    }
  }
}
