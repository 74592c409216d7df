// What the documentation of OpenAI's JavaScript client shows, with no change but the model and the
// address.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { startServer } from "../server.mjs";

const MODEL = "tales";
const PROMPT = "Say this is a test";
let server;
let client;

before(async () => {
  server = await startServer();
  client = new OpenAI({ apiKey: "My API Key", baseURL: `${server.url}/v1` });
});

after(async () => assert.equal(await server.stop(), 0));

test("the plain loop over a stream writes every text", async () => {
  const request = { model: MODEL, prompt: PROMPT, max_tokens: 7, temperature: 0 };
  const stream = await client.completions.create({ ...request, stream: true });
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0].text;
  const whole = await client.completions.create(request);
  assert.equal(text, whole.choices[0].text);
  assert.notEqual(text, "");
});

test("a stream is split in two, and is read again as lines", async () => {
  const request = { model: MODEL, prompt: PROMPT, max_tokens: 7, temperature: 0, stream: true };
  const [left, right] = (await client.completions.create(request)).tee();
  const texts = async (stream) => {
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0].text;
    return text;
  };
  const [one, other] = await Promise.all([texts(left), texts(right)]);
  assert.equal(one, other);
  const lines = (await client.completions.create(request)).toReadableStream();
  let text = "";
  for await (const bytes of lines) text += JSON.parse(Buffer.from(bytes).toString()).choices[0].text;
  assert.equal(text, one);
});

test("a stream is left by break", async () => {
  const stream = await client.completions.create({ model: MODEL, prompt: PROMPT, max_tokens: 200, stream: true });
  for await (const chunk of stream) {
    assert.equal(chunk.object, "text_completion");
    break;
  }
  assert.ok(stream.controller.signal.aborted);
});

test("ten prompts in one request give ten stories", async () => {
  const prompts = Array(10).fill("Once upon a time,");
  const { choices } = await client.completions.create({ model: MODEL, prompt: prompts, max_tokens: 20 });
  const stories = Array(prompts.length);
  for (const choice of choices) stories[choice.index] = prompts[choice.index] + choice.text;
  assert.equal(new Set(stories).size, prompts.length, stories.join("\n"));
});

test("an error has a class, a status, a name and headers", async () => {
  const refused = await client.completions.create({ model: "unknown-model", prompt: PROMPT }).catch((error) => {
    assert.ok(error instanceof OpenAI.APIError);
    return error;
  });
  assert.deepEqual([refused.status, refused.name, refused.code], [404, "Error", "model_not_found"]);
  assert.ok(refused.requestID);
  assert.equal(refused.headers.get("x-request-id"), refused.requestID);
});

test("the response is there raw, or with the data", async () => {
  const request = { model: MODEL, prompt: PROMPT, max_tokens: 3 };
  const response = await client.completions.create(request).asResponse();
  assert.equal(response.status, 200);
  await response.body.cancel();
  const { data, response: raw } = await client.completions.create(request).withResponse();
  assert.equal(data._request_id, raw.headers.get("x-request-id"));
  assert.equal(data.usage.total_tokens, data.usage.prompt_tokens + data.usage.completion_tokens);
});

test("log-probabilities hold the sampled token and its alternatives", async () => {
  const request = { model: MODEL, prompt: PROMPT, max_tokens: 8, seed: 5, logprobs: 2 };
  const [{ logprobs }] = (await client.completions.create(request)).choices;
  logprobs.tokens.forEach((token, index) => assert.equal(logprobs.top_logprobs[index][token], logprobs.token_logprobs[index]));
});
