// OpenAI's own client for Node in conversations: the examples of its README, but for address and model.

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { makeChatModel, startServer } from "../server.mjs";

const MODEL = "tales-chat";
const MESSAGES = [
  { role: "developer", content: "Talk like a pirate." },
  { role: "user", content: "Are semicolons optional in JavaScript?" },
];
let models;
let server;
let client;

before(async () => {
  models = makeChatModel();
  server = await startServer("--models", models, "--model", MODEL, "--profile", "exact");
  client = new OpenAI({ apiKey: "not asked for", baseURL: `${server.url}/v1`, maxRetries: 0 });
});

after(async () => {
  assert.equal(await server.stop(), 0);
  rmSync(models, { recursive: true });
});

test("a conversation is answered at once", async () => {
  const completion = await client.chat.completions.create({ model: MODEL, messages: MESSAGES, max_tokens: 12, seed: 5 });
  const [choice] = completion.choices;
  assert.equal(choice.message.role, "assistant");
  assert.equal(choice.message.refusal, null);
  assert.ok(choice.message.content.length > 0);
  assert.equal(completion.usage.completion_tokens, 12);
});

test("a stream joins to the same answer", async () => {
  const request = { model: MODEL, messages: MESSAGES, max_tokens: 12, seed: 5 };
  const whole = await client.chat.completions.create(request);
  const stream = await client.chat.completions.create({ ...request, stream: true });
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  assert.equal(text, whole.choices[0].message.content);
});

test("the client's helper for streams gathers the final message", async () => {
  const runner = client.chat.completions.stream({ model: MODEL, messages: MESSAGES, max_tokens: 8, seed: 5 });
  let text = "";
  runner.on("content", (delta) => (text += delta));
  const final = await runner.finalChatCompletion();
  assert.equal(final.choices[0].message.content, text);
  assert.equal(final.choices[0].finish_reason, "length");
});
