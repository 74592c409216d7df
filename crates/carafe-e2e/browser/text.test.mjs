// The text panel as a person uses it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startServer } from "../server.mjs";
import { DESKTOP, checkAccessibility, field, generate, launch, pressTabTo, screenshot, untilStatus, withPage, written } from "./browser.mjs";
import { Gate } from "./gate.mjs";

let browser;
let server;

before(async () => {
  [browser, server] = await Promise.all([launch(), startServer("--model", "tales", "--model", "mobilenet-v2")]);
});

after(async () => {
  await browser.close();
  await server.stop();
});

const onPage = (run, options = DESKTOP, path = "/") => withPage(browser, server.url + path, options, run);

/** Opens the page behind a gate, which lets the events of a stream through one by one. */
async function behindGate(run) {
  const gate = await Gate.open(server.url);
  try {
    await withPage(browser, gate.url, DESKTOP, (page) => run(page, gate));
  } finally {
    await gate.close();
  }
}

/**
 * Begins a generation and lets through the events of `count` tokens, each shown before the next is
 * there.
 */
async function generateTokens(page, gate, count) {
  await page.getByRole("button", { name: "Generate" }).click();
  for (let shown = 0; shown < count; ) {
    const { choices } = await gate.pass();
    shown += Number(choices[0].text !== "");
    await page.waitForFunction((tokens) => document.querySelectorAll("#written .token").length === tokens, shown);
  }
}

test("tokens arrive one by one", () =>
  behindGate(async (page, gate) => {
    await field(page, "Max tokens").fill("200");
    await field(page, "Seed").fill("11");
    await generateTokens(page, gate, 12);
    await gate.passAll();
    await untilStatus(page, /^Done/u);
    assert.match(await page.locator("#speed").textContent(), /^\d+ tokens\/s$/u);
    assert.match(await page.locator("#first-token").textContent(), / ms$/u);
    assert.match(await page.locator("#context-use").textContent(), /^\d+ of 256 tokens$/u);
    await screenshot(page, "text");
    await checkAccessibility(page);
  }));

test("Stop and Escape end a generation and keep what there is", () =>
  behindGate(async (page, gate) => {
    for (const stop of [() => page.getByRole("button", { name: "Stop" }).click(), () => page.keyboard.press("Escape")]) {
      await field(page, "Max tokens").fill("240");
      await generateTokens(page, gate, 3);
      await stop();
      await untilStatus(page, /^Stopped after/u);
      const text = await written(page);
      assert.notEqual(text, "");
      assert.equal(await written(page), text);
      assert.ok(await page.getByRole("button", { name: "Generate" }).isEnabled());
    }
  }));

test("the link in the address bar gives the same text again", () =>
  onPage(async (page) => {
    await generate(page, { Prompt: "The king & the “fox” said:\n", "Max tokens": 30, "Top-k": 40 });
    const [text, link] = [await written(page), page.url()];
    await withPage(browser, link, DESKTOP, async (other) => {
      await untilStatus(other, /^Done/u);
      assert.equal(await written(other), text);
      assert.equal(await field(other, "Prompt").inputValue(), "The king & the “fox” said:\n");
      assert.ok(await other.getByLabel("Keep this seed").isChecked());
    });
    await generate(page);
    assert.notEqual(await written(page), text, "without keeping the seed another text comes");
  }));

test("a token shows its alternatives, by mouse and by keyboard", () =>
  onPage(async (page) => {
    await generate(page, { "Max tokens": 20, Seed: 3 });
    await page.getByLabel("Colour by probability").check();
    await page.locator("#written .token").nth(4).click();
    const alternatives = page.getByRole("list", { name: "Alternatives" }).getByRole("listitem");
    assert.equal(await alternatives.count(), 5);
    const first = await alternatives.first().textContent();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Enter");
    assert.equal(await page.locator("#written .token[aria-pressed=true]").count(), 1);
    assert.notEqual(await alternatives.first().textContent(), first);
    await screenshot(page, "text-alternatives");
    await checkAccessibility(page);
  }));

test("a text is copied, and continued from a chosen token", () =>
  onPage(async (page) => {
    await generate(page, { Prompt: "Once upon", "Max tokens": 12, Seed: 9 });
    await page.getByRole("button", { name: "Copy" }).click();
    await untilStatus(page, /^Copied/u);
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), `Once upon${await written(page)}`);
    const tokens = await page.locator("#written .token").allTextContents();
    await page.locator("#written .token").nth(2).click();
    await page.getByRole("button", { name: "Continue from here" }).click();
    await untilStatus(page, /^Done/u);
    const prompt = await field(page, "Prompt").inputValue();
    assert.equal(prompt, `Once upon${tokens.slice(0, 3).join("")}`);
  }));

test("everything is done by keyboard alone", () =>
  onPage(async (page) => {
    await page.getByRole("combobox", { name: "Model" }).locator("option").first().waitFor({ state: "attached" });
    const tabTo = (name) => pressTabTo(page, name);
    await tabTo("prompt");
    await page.keyboard.press("Control+a");
    await page.keyboard.type("The fox");
    await tabTo("generate");
    await page.keyboard.press("Enter");
    await untilStatus(page, /^Done/u);
    assert.match(await page.locator("#written").textContent(), /^The fox/u);
    await tabTo(await page.locator("#written .token").first().textContent().then((text) => text.trim()));
    await page.keyboard.press("End");
    await page.keyboard.press("Enter");
    assert.ok(await page.locator("#alternatives").isVisible());
    await page.getByRole("tab", { name: "Text" }).focus();
    await page.keyboard.press("ArrowRight");
    assert.ok(await page.getByRole("heading", { name: "Say what a picture shows" }).isVisible());
  }));

test("what the model writes is never taken for markup", () =>
  onPage(async (page) => {
    await generate(page, { Prompt: "<img src=x onerror=alert(1)><script>alert(2)</script>", "Max tokens": 5 });
    assert.equal(await page.locator("#written img, #written script").count(), 0);
    assert.match(await page.locator("#written .prompt").textContent(), /^<img src=x/u);
  }));
