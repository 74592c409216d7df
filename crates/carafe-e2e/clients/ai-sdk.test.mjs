// The Vercel AI SDK (`ai`, `@ai-sdk/openai-compatible`): the examples of its documentation, but for address and model.

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import { makeChatModel, startServer } from "../server.mjs";

const MODEL = "tales-chat";
const PROMPT = "Write a vegetarian lasagna recipe for 4 people.";
let models;
let server;
let provider;

before(async () => {
  models = makeChatModel();
  server = await startServer("--models", models, "--model", MODEL, "--profile", "exact");
  provider = createOpenAICompatible({ name: "carafe", apiKey: "not asked for", baseURL: `${server.url}/v1`, includeUsage: true });
});

after(async () => {
  assert.equal(await server.stop(), 0);
  rmSync(models, { recursive: true });
});

const settings = () => ({ model: provider(MODEL), maxOutputTokens: 12, temperature: 0, maxRetries: 0 });
const options = () => ({ ...settings(), prompt: PROMPT });

test("a text is generated", async () => {
  const { text, usage, finishReason } = await generateText(options());
  assert.ok(text.length > 0);
  assert.equal(usage.outputTokens, 12);
  assert.equal(finishReason, "length");
});

test("a stream of text joins to the same", async () => {
  const { text } = await generateText(options());
  const result = streamText(options());
  let streamed = "";
  for await (const part of result.textStream) streamed += part;
  assert.equal(streamed, text);
  assert.equal((await result.usage).outputTokens, 12);
});

test("a system message and a conversation are answered by the model's template", async () => {
  const messages = [
    { role: "user", content: "Hello" },
    { role: "assistant", content: "Good day." },
    { role: "user", content: [{ type: "text", text: "Who are you?" }] },
  ];
  const { text } = await generateText({ ...settings(), system: "You are a king.", messages });
  assert.ok(text.length > 0);
});

test("what the server refuses is an error that says why", async () => {
  const many = { ...options(), prompt: "a ".repeat(2000) };
  await assert.rejects(generateText(many), (error) => error.statusCode === 400 && /maximum context length/u.test(error.message));
});
