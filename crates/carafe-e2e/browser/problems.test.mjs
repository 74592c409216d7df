// What the page says when things go wrong, and how it goes on.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { BUSY_FLAGS, holdPermits, startServer } from "../server.mjs";
import { DESKTOP, checkAccessibility, field, generate, launch, screenshot, untilStatus, withPage } from "./browser.mjs";

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
    assert.equal(await field(page, "Prompt").inputValue(), "My own words");
    await screenshot(page, "stopped-server");
    await checkAccessibility(page);
  }));

test("a busy server is told of, and the next try succeeds", () =>
  withServer(BUSY_FLAGS, async (page, server) => {
    const release = await holdPermits(server.url);
    await page.getByRole("button", { name: "Generate" }).click();
    await page.getByRole("alert").getByText("The server is busy").waitFor();
    await screenshot(page, "busy-server");
    await checkAccessibility(page);
    await release();
    await page.getByRole("button", { name: "Try again" }).click();
    await untilStatus(page, /^Done/u);
    assert.equal(await page.getByRole("alert").textContent(), "");
  }));

test("a refused request says why in words", () =>
  withServer([], async (page) => {
    await field(page, "Max tokens").fill("9999");
    await page.getByRole("button", { name: "Generate" }).click();
    await page.getByRole("alert").getByText("This model's maximum context length is 256 tokens").waitFor();
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
