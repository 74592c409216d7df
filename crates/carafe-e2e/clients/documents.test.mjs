// Blocks of JavaScript in the documents, run as they are written but for the address.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { ROOT, makeChatModel, startServer } from "../server.mjs";

const ADDRESS = "http://127.0.0.1:3000";
const pages = readdirSync(`${ROOT}/docs`).filter((name) => name.endsWith(".md"));
const blocks = pages.flatMap((name) => {
  const text = readFileSync(`${ROOT}/docs/${name}`, "utf8");
  return [...text.matchAll(/^```js\n(.*?)^```$/gmsu)].map(([, program]) => ({ name, program }));
});
let models;
let server;

before(async () => {
  models = makeChatModel();
  server = await startServer("--models", models, "--model", "tales-chat");
});

after(async () => {
  assert.equal(await server.stop(), 0);
  rmSync(models, { recursive: true });
});

test("there are programs", () => assert.ok(blocks.length > 0));

for (const { name, program } of blocks) {
  test(`the program of docs/${name} runs`, () => {
    const options = { cwd: `${ROOT}/crates/carafe-e2e`, input: program.replaceAll(ADDRESS, server.url), encoding: "utf8" };
    assert.notEqual(execFileSync(process.execPath, ["--input-type=module", "-"], options).trim(), "");
  });
}
