// The page's reader of Markdown, without a browser: what it takes for markup, and that no text is
// lost.

import assert from "node:assert/strict";
import { test } from "node:test";
import { blocks } from "../../../web/markdown.js";

const LETTERS = "abcxyz";
const MARKUP = ["*", "**", "_", "`", "```", "~~~", "#", "## ", "- ", "1. ", "  ", "    ", "\t", "\n", "\n\n", "[", "](", ")", "](https://e.x/)", "|", "|-|", "|--|--|\n", "\\", "<b>", "&lt;"];

/** Numbers that are the same in every run: SplitMix's little sister of 32 bits. */
function* numbers(seed) {
  for (let state = seed; ; ) {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    yield (mixed ^ (mixed >>> 15)) >>> 0;
  }
}

function randomText(draws, pieces) {
  const draw = (count) => draws.next().value % count;
  const piece = () => (draw(2) === 0 ? LETTERS[draw(LETTERS.length)].repeat(1 + draw(3)) : MARKUP[draw(MARKUP.length)]);
  return Array.from({ length: pieces }, piece).join("");
}

/** What a person reads of inlines or blocks; the address of a link counts as read. */
function reading(node) {
  if (Array.isArray(node)) return node.map(reading).join("");
  const { language = "", text = "", inlines = [], children = [], items = [], head = [], rows = [], href = "" } = node;
  return language + text + [inlines, children, items, head, rows].map(reading).join("") + href;
}

const lettersOf = (text) => text.replaceAll(/[^a-z]/gu, "");

const inline = (text) => blocks(text)[0].inlines;
const textNode = (text) => ({ kind: "text", text });

test("paragraphs, headings, code, lists and tables are told apart", () => {
  const text = "Hello\nthere\n\n## Why\n```rust\nfn main() {}\n\n```\n- one\n- two\n\n1. first\n2. second\n\n| a | b |\n|---|--:|\n| 1 | 2 |\nend";
  assert.deepEqual(blocks(text).map((block) => block.kind), ["paragraph", "heading", "code", "list", "list", "table", "paragraph"]);
  assert.deepEqual(inline(text), [textNode("Hello\nthere")]);
  const [, heading, code, bullets, ordered, table] = blocks(text);
  assert.deepEqual(heading, { kind: "heading", level: 2, inlines: [textNode("Why")], start: 13 });
  assert.deepEqual(code, { kind: "code", language: "rust", text: "fn main() {}\n", start: text.indexOf("```rust") });
  assert.deepEqual([bullets.ordered, bullets.items.length, ordered.ordered, ordered.first, ordered.items.length], [false, 2, true, 1, 2]);
  assert.deepEqual(table.rows, [[[textNode("1")], [textNode("2")]]]);
});

test("lists hold lists, code and paragraphs of their own", () => {
  const [list, ...others] = blocks("3. one\n   - inner\n   - more\n\n   a paragraph\n4. two\n   ```\n   code\n   ```");
  assert.deepEqual(others, []);
  assert.equal(list.first, 3);
  assert.deepEqual(list.items.map((item) => item.map((block) => block.kind)), [["paragraph", "list", "paragraph"], ["paragraph", "code"]]);
  assert.equal(list.items[1][1].text, "code");
});

test("emphasis, code and links are read, and what is not closed is text", () => {
  assert.deepEqual(inline("a **b *c* d** `e*f*` g"), [
    textNode("a "),
    { kind: "strong", children: [textNode("b "), { kind: "emphasis", children: [textNode("c")] }, textNode(" d")] },
    textNode(" "),
    { kind: "code", text: "e*f*" },
    textNode(" g"),
  ]);
  assert.deepEqual(inline("***x***"), [{ kind: "strong", children: [{ kind: "emphasis", children: [textNode("x")] }] }]);
  assert.deepEqual(inline("[a](https://e.x/(b)?c=d_e_)"), [{ kind: "link", href: "https://e.x/(b)?c=d_e_", children: [textNode("a")] }]);
  for (const text of ["2 * 3 * 4", "snake_case_name", "**open", "`open", "[a](javascript:alert(1))", "[a](data:text/html,x)", "<script>alert(1)</script>", "> quoted", "![a](b)"]) {
    assert.deepEqual(inline(text), [textNode(text)], text);
  }
  assert.deepEqual(inline("\\*not\\*"), [textNode("*not*")]);
});

test("no letter of any text is lost, and none changes its place", () => {
  const draws = numbers(17);
  for (let round = 0; round < 4000; round += 1) {
    const text = randomText(draws, 1 + (round % 40));
    assert.equal(lettersOf(reading(blocks(text))), lettersOf(text), JSON.stringify(text));
  }
});

test("a text without marks is read as it is", () => {
  for (const text of ["plain words, and more: 1 < 2 & 3 > 2!", "日本語のテキスト", "emoji 🎉 and ä", "one\ntwo"]) {
    assert.deepEqual(inline(text), [textNode(text)]);
  }
});

test("a text that grows changes its last two blocks alone", () => {
  const draws = numbers(23);
  for (let round = 0; round < 300; round += 1) {
    const text = randomText(draws, 40);
    let shown = [];
    for (let end = 1; end <= text.length; end += 1) {
      const from = shown.at(-2)?.start ?? 0;
      const changed = blocks(text.slice(from, end)).map((block) => ({ ...block, start: block.start + from }));
      shown = [...shown.slice(0, -2), ...changed];
      assert.deepEqual(shown, blocks(text.slice(0, end)), JSON.stringify(text.slice(0, end)));
    }
  }
});

test("texts that nest without an end are read to their end", () => {
  for (const piece of ["- ", "*a", "_a *b ", "[", "`", "``a`", "> ", "a* ", "1. ", "**", "\\", "|", "  - a\n", "[a](https://", "*a **b "]) {
    const text = piece.repeat(10_000);
    assert.equal(lettersOf(reading(blocks(text))), lettersOf(text), piece);
  }
});
