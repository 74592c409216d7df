// The plainest loop over a stream, as OpenAI's documentation of its client for Node shows it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { startServer } from "../server.mjs";

let server;
let client;

before(async () => {
  server = await startServer("--model", "tales");
  client = new OpenAI({ apiKey: "not asked for", baseURL: `${server.url}/v1`, maxRetries: 0 });
});

after(async () => assert.equal(await server.stop(), 0));

test("the plainest loop over a stream joins to the text that comes at once", async () => {
  const request = { model: "tales", prompt: "Once upon a time", max_tokens: 12, seed: 7 };
  let text = "";
  for await (const chunk of await client.completions.create({ ...request, stream: true })) {
    text += chunk.choices[0].text;
  }
  const whole = await client.completions.create(request);
  assert.equal(text, whole.choices[0].text);
  assert.notEqual(text, "");
});

test("the alternatives of a token hold the token itself, however few are asked for", async () => {
  const request = { model: "tales", prompt: "Once upon a time", max_tokens: 24, temperature: 2, seed: 1, logprobs: 0 };
  const [{ logprobs }] = (await client.completions.create(request)).choices;
  const expected = logprobs.tokens.map((token, index) => ({ [token]: logprobs.token_logprobs[index] }));
  assert.deepEqual(logprobs.top_logprobs, expected);
});
