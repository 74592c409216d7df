// The README's pictures of the page, in light and dark: the default model, and what it really answers.
//
// `cargo xtask screenshots` gives the folder of models that holds it.

import assert from "node:assert/strict";
import { ROOT, startServer } from "../server.mjs";
import { launch, untilStatus, withPage } from "./browser.mjs";

const MODEL = "smollm2-135m-instruct";
const QUESTION = "What is the capital of France?";
const VIEWPORT = { width: 1000, height: 720 };

const [models] = process.argv.slice(2);
assert.ok(models, "expected the folder of models");
const [browser, server] = await Promise.all([launch(), startServer("--models", models, "--model", MODEL, "--model", "tales")]);
try {
  for (const colorScheme of ["light", "dark"]) {
    await withPage(browser, server.url, { viewport: VIEWPORT, colorScheme }, async (page) => {
      const chat = page.locator("#chat");
      await page.locator("#chat-controls").evaluate((details) => (details.open = true));
      await chat.getByLabel("Temperature", { exact: true }).fill("0");
      await page.locator("#chat-controls").evaluate((details) => (details.open = false));
      await chat.getByLabel("Message", { exact: true }).fill(QUESTION);
      await chat.getByRole("button", { name: "Send", exact: true }).click();
      await untilStatus(page, /^Answer/u);
      await page.evaluate(() => scrollTo(0, 0));
      await page.screenshot({ path: `${ROOT}/docs/images/page-${colorScheme}.png` });
    });
  }
} finally {
  await browser.close();
  await server.stop();
}
