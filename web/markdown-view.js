// Draws Markdown while it is being written: only the blocks that the latest text changed, once a
// frame.
//
// Elements are made by name and text goes in as text nodes, so nothing that a model or a person
// writes can become an element of its own choice.

import { copyText, element } from "./dom.js";
import { blocks } from "./markdown.js";

export class MarkdownView {
  /** The element that shows the text. */
  node = element("div", { class: "markdown" });
  #text = "";
  #shown = [];
  #frame = 0;

  /** Appends text, which is drawn with the next frame. */
  append(text) {
    this.#text += text;
    this.#frame ||= requestAnimationFrame(() => this.flush());
  }

  /** Draws what is not drawn yet; a page that nobody sees has no frames. */
  flush() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const kept = Math.max(this.#shown.length - 2, 0);
    const from = this.#shown[kept]?.block.start ?? 0;
    const changed = blocks(this.#text.slice(from)).map((block) => ({ ...block, start: block.start + from }));
    const old = this.#shown.splice(kept);
    changed.forEach((block, place) => this.#shown.push(this.#redraw(old[place], block)));
    for (const { node } of old.slice(changed.length)) node.remove();
  }

  /** Shows a block where an older form of it stood, or at the end. */
  #redraw(old, block) {
    if (old && JSON.stringify(old.block) === JSON.stringify(block)) return old;
    // An element stays while its code is selected or about to be copied.
    if (old?.block.kind === "code" && block.kind === "code" && old.block.language === block.language) {
      old.node.querySelector("code").textContent = block.text;
      return { block, node: old.node };
    }
    const node = draw(block);
    if (old) old.node.replaceWith(node);
    else this.node.append(node);
    return { block, node };
  }
}

const DRAW = { paragraph: drawParagraph, heading: drawHeading, code: drawCode, list: drawList, table: drawTable };

const draw = (block) => DRAW[block.kind](block);

function drawParagraph({ inlines }) {
  return element("p", {}, ...inlines.map(drawInline));
}

/**
 * All headings have one rank: a model's ranks may skip some, which would mislead screen readers.
 */
function drawHeading({ level, inlines }) {
  return element("h4", { class: `level-${level}` }, ...inlines.map(drawInline));
}

/** Code reads its text when it is copied, for it may still grow. */
function drawCode({ language, text }) {
  const code = element("code", {}, text);
  const copy = element("button", { type: "button" }, "Copy code");
  copy.addEventListener("click", () => copyText(code.textContent));
  const bar = element("div", { class: "code-bar" }, element("span", {}, language || "code"), copy);
  // What scrolls sideways must be reached by the keyboard.
  return element("div", { class: "code" }, bar, element("pre", { tabIndex: 0 }, code));
}

function drawList({ ordered, first, items }) {
  const list = element(ordered ? "ol" : "ul", {}, ...items.map((item) => element("li", {}, ...item.map(draw))));
  if (ordered) list.start = first;
  return list;
}

function drawTable({ head, rows }) {
  const row = (tag) => (cells) => element("tr", {}, ...cells.map((cell) => element(tag, {}, ...cell.map(drawInline))));
  const table = element("table", {}, element("thead", {}, row("th")(head)), element("tbody", {}, ...rows.map(row("td"))));
  return element("div", { class: "table", tabIndex: 0 }, table);
}

function drawInline({ kind, text, href, children = [] }) {
  if (kind === "text") return document.createTextNode(text);
  if (kind === "code") return element("code", {}, text);
  const inner = children.map(drawInline);
  if (kind === "link") return element("a", { href, rel: "noopener noreferrer", target: "_blank" }, ...inner);
  return element(kind === "strong" ? "strong" : "em", {}, ...inner);
}
