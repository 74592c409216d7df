// Pages of other origins in a real browser: OpenAI's client in one that is allowed, the same in one
// that is not, and a page whose name was rebound to this machine.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { normalize } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { startServer } from "../server.mjs";
import { DESKTOP, launch, withPage } from "./browser.mjs";

const MODULES = fileURLToPath(new URL("../node_modules", import.meta.url));
let browser;
let pages;
let origin;

before(async () => {
  browser = await launch("--host-resolver-rules=MAP evil.example 127.0.0.1");
  pages = createServer(answer).listen(0, "127.0.0.1");
  await new Promise((listening) => pages.once("listening", listening));
  origin = `http://127.0.0.1:${pages.address().port}`;
});

after(async () => {
  await browser.close();
  pages.close();
});

/** An empty page, and beneath it OpenAI's client as the package brings it. */
async function answer({ url }, response) {
  if (url === "/") {
    response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><link rel=icon href=data:,><title>page</title>");
    return;
  }
  try {
    const code = await readFile(`${MODULES}${normalize(url)}`);
    response.writeHead(200, { "content-type": "text/javascript" }).end(code);
  } catch {
    response.writeHead(404).end();
  }
}

async function withServer(flags, run) {
  const server = await startServer("--model", "tales", ...flags);
  try {
    await run(server);
  } finally {
    await server.stop();
  }
}

/**
 * What OpenAI's client in the page gets: an answer, a stream, the names of the models, and a
 * refusal.
 */
async function useClient({ url, module }) {
  const { default: OpenAI } = await import(module);
  const client = new OpenAI({ apiKey: "not asked for", baseURL: `${url}/v1`, maxRetries: 0, dangerouslyAllowBrowser: true });
  const request = { model: "tales", prompt: "Once upon a time", max_tokens: 5, seed: 3 };
  try {
    const whole = await client.completions.create(request);
    let streamed = "";
    const chunks = await client.completions.create({ ...request, stream: true });
    for await (const chunk of chunks) streamed += chunk.choices.map((choice) => choice.text).join("");
    const models = (await client.models.list()).data.map((model) => model.id);
    const refused = await client.completions.create({ ...request, top_p: 7 }).catch((error) => error);
    return { text: whole.choices[0].text, streamed, models, status: refused.status, requestId: refused.requestID };
  } catch (error) {
    return { unreachable: error instanceof OpenAI.APIConnectionError, message: String(error) };
  }
}

test("OpenAI's client works in a page of another origin that is allowed", () =>
  withServer(["--cors-origin", origin], ({ url }) =>
    withPage(browser, origin, DESKTOP, async (page) => {
      const got = await page.evaluate(useClient, { url, module: `${origin}/openai/index.mjs` });
      assert.equal(got.message, undefined);
      assert.ok(got.text.length > 0);
      assert.equal(got.streamed, got.text);
      assert.deepEqual(got.models, ["tales"]);
      assert.equal(got.status, 400);
      assert.match(got.requestId, /^req-/u);
    })));

test("a page of another origin that is not allowed reaches nothing and makes nothing run", () =>
  withServer(["--cors-origin", "https://friend.example"], async ({ url }) => {
    const page = await browser.newPage();
    await page.goto(origin);
    const got = await page.evaluate(useClient, { url, module: `${origin}/openai/index.mjs` });
    assert.equal(got.unreachable, true, JSON.stringify(got));
    // A request that browsers send without asking first.
    await page.evaluate((server) => fetch(`${server}/infer`, { method: "POST", mode: "no-cors", body: "a" }), url);
    await page.close();
    const metrics = await (await fetch(`${url}/metrics`)).text();
    const statuses = [...metrics.matchAll(/_count\{http_request_method="(?:OPTIONS|POST)".*?status_code="(\d+)"/gu)];
    assert.deepEqual([...new Set(statuses.map(([, status]) => status))], ["403"], metrics);
  }));

test("a page whose name was rebound to this machine is served nothing", () =>
  withServer([], async ({ url }) => {
    const page = await browser.newPage();
    const { port } = new URL(url);
    const rebound = await page.goto(`http://evil.example:${port}/`);
    assert.equal(rebound.status(), 421);
    assert.match(await rebound.text(), /this server is not called `evil.example`.*--allowed-host/u);
    const own = await page.goto(`http://localhost:${port}/`);
    assert.equal(own.status(), 200);
    await page.close();
  }));
