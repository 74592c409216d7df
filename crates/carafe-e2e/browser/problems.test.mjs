// What the page says when things go wrong, and how it goes on.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startServer } from "../server.mjs";
import { DESKTOP, checkAccessibility, generate, launch, screenshot, untilStatus, withPage } from "./browser.mjs";

const KEY = "a-key-for-the-tests-0123";
let browser;

before(async () => {
  browser = await launch();
});

after(() => browser.close());

async function withServer(flags, run) {
  const server = await startServer("--model", "tales", ...flags);
  try {
    await withPage(browser, server.url, DESKTOP, (page) => run(page, server));
  } finally {
    await server.stop();
  }
}

test("a stopped server is told of, and what was typed stays", () =>
  withServer([], async (page, server) => {
    await generate(page, { Prompt: "My own words" });
    await server.stop();
    await page.getByRole("button", { name: "Generate" }).click();
    await page.getByRole("alert").getByText("The server does not answer").waitFor();
    assert.ok(await page.getByRole("button", { name: "Try again" }).isVisible());
    assert.equal(await page.getByLabel("Prompt", { exact: true }).inputValue(), "My own words");
    await screenshot(page, "stopped-server");
    await checkAccessibility(page);
  }));

test("a busy server is told of, and the next try succeeds", () =>
  withServer(["--queue", "8"], async (page, server) => {
    const control = new AbortController();
    const request = { model: "tales", prompt: "a", n: 8, max_tokens: 250, ignore_eos: true, logprobs: 5, stream: true };
    const body = JSON.stringify(request);
    const headers = { "content-type": "application/json" };
    const button = page.getByRole("button", { name: "Generate" });
    await button.waitFor();
    const stream = await fetch(`${server.url}/v1/completions`, { method: "POST", headers, body, signal: control.signal });
    await stream.body.getReader().read();
    // All places are taken for less than half a second, which a click with its checks of the button may well take.
    await button.dispatchEvent("click");
    await page.getByRole("alert").getByText("The server is busy").waitFor();
    await screenshot(page, "busy-server");
    await checkAccessibility(page);
    control.abort();
    await untilFree(server.url);
    await page.getByRole("button", { name: "Try again" }).click();
    await untilStatus(page, /^Done/u);
    assert.equal(await page.getByRole("alert").textContent(), "");
  }));

/** Waits until no sequence runs or waits. */
async function untilFree(url) {
  for (let tries = 0; tries < 100; tries += 1) {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    if (!/^carafe_num_requests_\w+\{.*\} [1-9]/mu.test(metrics)) return;
  }
  assert.fail("the places do not become free");
}

test("a refused request says why in words", () =>
  withServer([], async (page) => {
    await page.getByLabel("Max tokens").fill("9999");
    await page.getByRole("button", { name: "Generate" }).click();
    await page.getByRole("alert").getByText("the model's context holds 256").waitFor();
    await generate(page, { "Max tokens": 5 });
    assert.equal(await page.getByRole("alert").textContent(), "");
  }));

test("a server with keys asks for one and goes on with it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "carafe-"));
  writeFileSync(join(folder, "keys"), `${KEY}\n`);
  try {
    await withServer(["--api-key-file", join(folder, "keys")], async (page) => {
      await page.getByLabel("API key").fill(KEY);
      await checkAccessibility(page);
      await screenshot(page, "key-wanted");
      await page.getByRole("button", { name: "Use this key" }).click();
      await page.getByRole("combobox", { name: "Model" }).locator("option").first().waitFor({ state: "attached" });
      await generate(page, { "Max tokens": 5 });
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
