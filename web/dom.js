// Small helpers around the document. Text from users and models only ever goes in as a text node.

/** The element of this id. */
export const byId = (id) => document.getElementById(id);

/**
 * Makes an element: properties by name (`class`, `aria-…` and `data-…` as attributes), children as
 * nodes or text.
 */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class" || name === "role" || name === "for" || name.includes("-")) node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
}

/** Tells screen readers something, without moving the focus. */
export function announce(text) {
  byId("status").textContent = text;
}

/** Puts a text on the clipboard, and says whether that worked. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    announce("Copied.");
  } catch {
    announce("The browser does not allow copying here; select the text and copy it yourself.");
  }
}

export const percent = (share) => `${(share * 100).toFixed(share < 0.0995 || share > 0.9905 ? 1 : 0)} %`;

export const milliseconds = (time) => `${time < 10 ? time.toFixed(2) : time.toFixed(0)} ms`;

export const mebibytes = (bytes) => `${(bytes / 1048576).toFixed(1)} MiB`;
