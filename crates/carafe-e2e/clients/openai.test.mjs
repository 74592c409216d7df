// OpenAI's own client for Node, unchanged, against a running server.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { BUSY_FLAGS, holdPermits, startServer } from "../server.mjs";

const PROMPT = "Once upon a time";
let server;
let client;

const clientOf = ({ url }, options = {}) => new OpenAI({ apiKey: "not asked for", baseURL: `${url}/v1`, maxRetries: 0, ...options });

before(async () => {
  server = await startServer();
  client = clientOf(server);
});

after(async () => assert.equal(await server.stop(), 0));

test("the models are listed", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes("tales") && ids.includes("mobilenet-v2"));
});

test("a stream joins to the text that the same seed gives at once", async () => {
  const request = { model: "tales", prompt: PROMPT, max_tokens: 20, seed: 5 };
  const whole = await client.completions.create(request);
  let text = "";
  let usage = null;
  const stream = await client.completions.create({ ...request, stream: true, stream_options: { include_usage: true } });
  for await (const chunk of stream) {
    text += chunk.choices.map((choice) => choice.text).join("");
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].text);
  assert.deepEqual(usage, whole.usage);
});

test("several choices come with their log-probabilities and end at a stop text", async () => {
  const completion = await client.completions.create({ model: "tales", prompt: PROMPT, n: 3, logprobs: 2, max_tokens: 60, stop: [","] });
  assert.deepEqual(completion.choices.map((choice) => choice.index), [0, 1, 2]);
  for (const { text, logprobs } of completion.choices) {
    assert.ok(!text.includes(","));
    assert.equal(logprobs.tokens.length, logprobs.token_logprobs.length);
    assert.ok(logprobs.top_logprobs.every((top) => [2, 3].includes(Object.keys(top).length)));
  }
});

test("an error names the field, and its id is the header's", async () => {
  const refused = client.completions.create({ model: "tales", prompt: PROMPT, top_p: 7 });
  await assert.rejects(refused, (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, "top_p");
    assert.equal(error.requestID, error.error.request_id);
    return true;
  });
  await assert.rejects(client.completions.create({ model: "gpt-9", prompt: PROMPT }), OpenAI.NotFoundError);
});

test("a full queue is retried until a place is free", async () => {
  const busy = await startServer("--model", "tales", ...BUSY_FLAGS);
  const request = { model: "tales", prompt: PROMPT, max_tokens: 2 };
  const release = await holdPermits(busy.url);
  await assert.rejects(clientOf(busy).completions.create(request), OpenAI.RateLimitError);
  const releaseWhenRefused = async (...words) => {
    const answer = await fetch(...words);
    if (answer.status === 429) await release();
    return answer;
  };
  // However long the permits take to be free, the client asks again.
  const patient = clientOf(busy, { maxRetries: 600, fetch: releaseWhenRefused });
  const completion = await patient.completions.create(request);
  assert.equal(completion.usage.completion_tokens, 2);
  assert.equal(await busy.stop(), 0);
});
