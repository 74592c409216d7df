// Debian's Chromium and pages in it, for the tests of the page. A page that breaks its own rules,
// or throws, fails its test.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { PATIENCE, ROOT } from "../server.mjs";

const PROGRAMS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SCREENSHOTS = `${ROOT}/target/screenshots`;

export const DESKTOP = { viewport: { width: 1100, height: 850 } };
export const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true };

/** Starts the browser, with these arguments besides. */
export function launch(...args) {
  const executablePath = PROGRAMS.find((program) => existsSync(program));
  assert.ok(executablePath, "Chromium is missing; on Debian: apt install chromium");
  mkdirSync(SCREENSHOTS, { recursive: true });
  // Chromium's own sandbox wants rights that a container and root do not have; the page is ours.
  return chromium.launch({ executablePath, args: ["--no-sandbox", ...args], timeout: PATIENCE });
}

/** Opens the page, runs a test on it, and looks for what went wrong silently. */
export async function withPage(browser, url, options, run) {
  // Colours are checked as they are in the end, and not while a token fades in.
  const own = { permissions: ["clipboard-read", "clipboard-write"], reducedMotion: "reduce" };
  const context = await browser.newContext({ ...own, ...options });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    const expected = message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && !expected) errors.push(message.text());
  });
  try {
    await page.goto(url);
    await run(page);
    assert.deepEqual(errors, []);
  } finally {
    await context.close();
  }
}

/** Asks axe-core for violations of the accessibility guidelines; there must be none. */
export async function checkAccessibility(page) {
  await page.evaluate(AXE);
  const violations = await page.evaluate(async () => (await globalThis.axe.run()).violations);
  assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]), []);
}

/** Saves the page as it looks in target/screenshots. */
export async function screenshot(page, name) {
  await page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, fullPage: true });
}

/** The output without the prompt. */
export async function written(page) {
  return (await page.locator("#written .token").allTextContents()).join("");
}

/** Waits until the status line says this. */
export async function untilStatus(page, pattern) {
  await page.locator("#status").filter({ hasText: pattern }).waitFor({ state: "attached" });
}

/** Presses Tab until the element of this id or text has the focus. */
export async function pressTabTo(page, name) {
  for (let presses = 0; presses < 30; presses += 1) {
    await page.keyboard.press("Tab");
    const focused = await page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim());
    if (focused === name) return;
  }
  assert.fail(`the Tab key does not reach ${name}`);
}

/** The field of the text panel with this label. */
export function field(page, label) {
  return page.locator("#text").getByLabel(label, { exact: true });
}

/** Generates with these values in the form, to the end. */
export async function generate(page, values = {}) {
  for (const [label, value] of Object.entries(values)) await field(page, label).fill(String(value));
  await page.getByRole("button", { name: "Generate" }).click();
  await untilStatus(page, /^Done/u);
}
