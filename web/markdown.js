// Reads the part of Markdown that language models write: paragraphs, headings, fenced code, lists
// and tables. What is inside their lines is read by `markdown-inline.js`, what is drawn of them is
// decided by `markdown-view.js`.
//
// Everything else stays the text that it is: HTML, quotes, rules, pictures, footnotes. No letter of
// a text is lost.

import { inlines } from "./markdown-inline.js";

/** Lists within lists; what lies deeper is text. A bound for texts that nest without an end. */
const MAX_DEPTH = 8;

const FENCE = /^ {0,3}(`{3,}|~{3,})[ \t]*([^`]*)$/u;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*))?$/u;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])([ \t]+)(\S.*)$/u;
const TABLE_RULE = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/u;
const BLANK = /^[ \t]*$/u;

/**
 * The blocks of a text, each with the place in the text where it `start`s: `{ kind: "paragraph" |
 * "heading", level, inlines }`, `{ kind: "code", language, text }`, `{ kind: "list", ordered,
 * first, items: [blocks] }`, `{ kind: "table", head, rows }` with inlines in each cell.
 *
 * When a text grows, only its last two blocks can change: the one that its last line belongs to,
 * and the one that this line may yet continue.
 */
export function blocks(text, depth = 0) {
  const lines = text.split("\n");
  const starts = startsOf(lines);
  const found = [];
  for (let at = 0; at < lines.length; ) {
    if (BLANK.test(lines[at])) {
      at += 1;
      continue;
    }
    const { block, end } = readBlock(lines, at, depth);
    found.push({ ...block, start: starts[at] });
    at = end;
  }
  return found;
}

/** The first line from this one on of which something holds; -1 if there is none. */
function findFrom(lines, from, holds) {
  for (let at = from; at < lines.length; at += 1) if (holds(lines[at])) return at;
  return -1;
}

function startsOf(lines) {
  let start = 0;
  return lines.map((line) => (start += line.length + 1) - line.length - 1);
}

/** The block that begins with this line, and the line after it. */
function readBlock(lines, at, depth) {
  if (FENCE.test(lines[at])) return readCode(lines, at);
  if (HEADING.test(lines[at])) return readHeading(lines, at);
  if (depth < MAX_DEPTH && ITEM.test(lines[at])) return readList(lines, at, depth);
  if (isTable(lines, at)) return readTable(lines, at);
  return readParagraph(lines, at, depth);
}

/** Code ends with a fence as long as the first; while that has not come, with the text. */
function readCode(lines, at) {
  const [, fence, language] = lines[at].match(FENCE);
  const closing = new RegExp(`^ {0,3}${fence[0]}{${fence.length},}[ \\t]*$`, "u");
  const close = findFrom(lines, at + 1, (line) => closing.test(line));
  const end = close < 0 ? lines.length : close;
  const text = lines.slice(at + 1, end).join("\n");
  return { block: { kind: "code", language: language.trim(), text }, end: close < 0 ? end : end + 1 };
}

function readHeading(lines, at) {
  const [, marks, text = ""] = lines[at].match(HEADING);
  return { block: { kind: "heading", level: marks.length, inlines: inlines(text) }, end: at + 1 };
}

/** A paragraph keeps its line breaks: models mean them. */
function readParagraph(lines, at, depth) {
  let end = at + 1;
  while (end < lines.length && !BLANK.test(lines[end]) && !interrupts(lines[end], depth)) end += 1;
  return { block: { kind: "paragraph", inlines: inlines(lines.slice(at, end).join("\n")) }, end };
}

function interrupts(line, depth) {
  return FENCE.test(line) || HEADING.test(line) || (depth < MAX_DEPTH && ITEM.test(line));
}

/**
 * A list goes on over blank lines as long as more of its items, or of their indented text, follow.
 */
function readList(lines, at, depth) {
  const [, , mark] = lines[at].match(ITEM);
  const ordered = isNumber(mark);
  const items = [];
  let end = at;
  while (end < lines.length && isItemOf(lines[end], ordered)) {
    const item = readItem(lines, end, depth);
    items.push(item.blocks);
    end = item.end;
  }
  return { block: { kind: "list", ordered, first: ordered ? Number.parseInt(mark, 10) : 1, items }, end };
}

const isNumber = (mark) => /\d/u.test(mark);

function isItemOf(line, ordered) {
  const item = line.match(ITEM);
  return item !== null && isNumber(item[2]) === ordered;
}

/** One item: the rest of its line, and the lines after it that are indented or simply go on. */
function readItem(lines, at, depth) {
  const [, indent, mark, , text] = lines[at].match(ITEM);
  const width = indent.length + 2;
  const own = [text];
  let end = at + 1;
  for (;;) {
    const next = findFrom(lines, end, (line) => !BLANK.test(line));
    if (next < 0) break;
    const indented = lines[next].startsWith(" ".repeat(width)) || lines[next].startsWith("\t");
    const lazy = next === end && !interrupts(lines[next], depth);
    if (!indented && !lazy) {
      // The blank lines between two items are nobody's.
      if (isItemOf(lines[next], isNumber(mark))) end = next;
      break;
    }
    own.push(...lines.slice(end, next), dedent(lines[next], width + mark.length));
    end = next + 1;
  }
  return { blocks: blocks(own.join("\n"), depth + 1), end };
}

/** Takes off at most this number of spaces, or one tab. */
function dedent(line, width) {
  if (line.startsWith("\t")) return line.slice(1);
  const spaces = line.match(/^ */u)[0].length;
  return line.slice(Math.min(spaces, width));
}

function isTable(lines, at) {
  const [head, rule] = [lines[at], lines[at + 1] ?? ""];
  return head.includes("|") && rule.includes("-") && TABLE_RULE.test(rule) && cells(head).length === cells(rule).length;
}

function readTable(lines, at) {
  const head = cells(lines[at]).map((cell) => inlines(cell));
  const rows = [];
  let end = at + 2;
  while (end < lines.length && lines[end].includes("|")) {
    rows.push(cells(lines[end]).map((cell) => inlines(cell)));
    end += 1;
  }
  return { block: { kind: "table", head, rows }, end };
}

/** The cells of a line: what its bars divide, but for those behind a backslash. */
function cells(line) {
  const bare = line.trim().replace(/^\|/u, "").replace(/(?<!\\)\|$/u, "");
  return bare.split(/(?<!\\)\|/u).map((cell) => cell.trim());
}
