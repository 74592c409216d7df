// The example in JavaScript: with the real model where this user has it, whatever it says; and with answers of these tests' own.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:http";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { PATIENCE, ROOT, startServer } from "../server.mjs";

const MODEL = "smollm2-135m-instruct";
const QUESTION = "What is 417 times 23?";
const CALL = '{"tool": "multiply", "arguments": {"a": 417, "b": 23}}';
const PLACES = [
  join(process.env.XDG_DATA_HOME || join(homedir(), ".local/share"), "carafe/models"),
  join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "carafe/models"),
  `${ROOT}/target/real-models`,
];
let folder;

// A program finds its packages from its own folder on.
before(() => {
  folder = mkdtempSync(join(tmpdir(), "carafe-"));
  cpSync(`${ROOT}/examples/tools.mjs`, join(folder, "tools.mjs"));
  symlinkSync(`${ROOT}/crates/carafe-e2e/node_modules`, join(folder, "node_modules"));
});

after(() => rmSync(folder, { recursive: true }));

/** Runs the program; its lines and its exit code. */
function run(url) {
  return new Promise((resolve) => {
    const words = [join(folder, "tools.mjs"), QUESTION, "--url", url];
    execFile(process.execPath, words, { timeout: PATIENCE }, (error, stdout, stderr) => {
      resolve({ lines: stdout.trimEnd().split("\n"), code: error?.code ?? 0, stderr });
    });
  });
}

/** Plays a model that says these texts, one after the other. */
async function play(...texts) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const body = (await request.toArray()).join("");
    response.setHeader("content-type", "application/json");
    if (request.method === "GET") return response.end(JSON.stringify({ object: "list", data: [{ id: "scripted" }] }));
    requests.push(JSON.parse(body));
    const choices = [{ index: 0, message: { role: "assistant", content: texts.shift() }, finish_reason: "stop" }];
    return response.end(JSON.stringify({ id: "chat-1", object: "chat.completion", choices }));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { url: `http://127.0.0.1:${server.address().port}`, requests, close: () => server.close() };
}

test("a call is carried out and its result given back", async () => {
  const model = await play(`I am not sure. ${CALL}`, "It is 9591.");
  const { lines, code, stderr } = await run(model.url);
  assert.deepEqual(lines, ['call: multiply {"a":417,"b":23} gives 9591', "answer: It is 9591."], stderr);
  assert.equal(code, 0);
  assert.match(model.requests[1].messages[3].content, /The result is 9591/u);
  model.close();
});

test("a call of another form is refused and may be mended", async () => {
  const wrong = [
    "{",
    '{"tool": "open", "arguments": {"path": "/etc/passwd"}}',
    '{"tool": "multiply", "arguments": {"a": 1}}',
    '{"tool": "multiply", "arguments": {"a": true, "b": 2}}',
    '{"tool": "multiply"}',
  ];
  const model = await play(...wrong, "So be it.");
  const { lines, code, stderr } = await run(model.url);
  assert.equal(code, 0, stderr);
  assert.equal(lines.filter((line) => line.startsWith("refused: ")).length, wrong.length, lines.join("\n"));
  assert.equal(lines.at(-1), "answer: So be it.");
  model.close();
});

test("a model that only calls is stopped", async () => {
  const model = await play(...Array(9).fill(CALL));
  const { lines, code } = await run(model.url);
  assert.deepEqual([lines.at(-1), code], ["no answer in 6 turns", 1]);
  model.close();
});

const models = PLACES.find((place) => existsSync(join(place, MODEL, "model.toml")));
const skip = models === undefined && `this user has no ${MODEL}`;
test("the real model ends in an answer, or it is said that there is none", { skip }, async () => {
  const server = await startServer("--models", models, "--model", MODEL);
  const { lines, code, stderr } = await run(server.url);
  assert.ok(code === 0 ? lines.some((line) => line.startsWith("answer: ")) : lines.at(-1) === "no answer in 6 turns", stderr);
  assert.equal(await server.stop(), 0);
});
