// The chat panel as a person uses it, before a real model; and what it makes of answers that a
// small model does not give, which are recorded here.

import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { makeChatModel, startServer } from "../server.mjs";
import { DESKTOP, PHONE, checkAccessibility, launch, pressTabTo, screenshot, untilStatus, withPage } from "./browser.mjs";
import { Gate } from "./gate.mjs";

let browser;
let server;
let models;

before(async () => {
  models = makeChatModel();
  const flags = ["--models", models, "--model", "tales-chat", "--model", "tales"];
  [browser, server] = await Promise.all([launch(), startServer(...flags)]);
});

after(async () => {
  await browser?.close();
  await server?.stop();
  rmSync(models, { recursive: true });
});

const onPage = (run, options = DESKTOP, path = "/") => withPage(browser, server.url + path, options, run);

const chat = (page) => page.getByRole("tabpanel", { name: "Chat" });
const control = (page, label) => page.locator("#chat").getByLabel(label, { exact: true });
const press = (page, name) => chat(page).getByRole("button", { name, exact: true }).last().click();
const messages = (page) => page.locator("#messages > li");
const texts = (page) => messages(page).locator(".markdown").allTextContents();

/** Opens the folded parameters and sets these. */
async function set(page, values) {
  await page.locator("#chat-controls").evaluate((details) => (details.open = true));
  for (const [label, value] of Object.entries(values)) await control(page, label).fill(String(value));
}

/** Sends a message, and waits for the end of the answer. */
async function say(page, text) {
  await control(page, "Message").fill(text);
  await press(page, "Send");
  await untilStatus(page, /^Answer/u);
}

/** An answer as the API streams it: one chunk for each of these deltas, each a token. */
function recorded(deltas, { reason = "stop", total = 40 } = {}) {
  const logprobs = (token) => ({ content: [{ token, logprob: -0.5, top_logprobs: [{ token, logprob: -0.5 }, { token: "other", logprob: -1 }] }] });
  const choices = [
    { delta: { role: "assistant", content: "" }, finish_reason: null },
    ...deltas.map((delta) => ({ delta, logprobs: logprobs(delta.content ?? delta.reasoning_content), finish_reason: null })),
    { delta: {}, finish_reason: reason },
  ];
  const carafe = { profile: "exact", steps: deltas.length, queue_ms: 0, first_token_ms: 5, sandbox_ms: 1, model_ms: 20, total_ms: 30 };
  const usage = { prompt_tokens: total - deltas.length, completion_tokens: deltas.length, total_tokens: total };
  const chunks = [...choices.map((choice) => ({ choices: [{ index: 0, ...choice }] })), { choices: [], usage, carafe }];
  return [...chunks.map((chunk) => JSON.stringify(chunk)), "[DONE]"].map((data) => `data: ${data}\n\n`).join("");
}

/** Answers every message to the model with what is recorded; the requests that came. */
async function answerWith(page, body, { status = 200, headers = {} } = {}) {
  const requests = [];
  await page.route("**/v1/chat/completions", (route) => {
    requests.push(route.request().postDataJSON());
    const contentType = status === 200 ? "text/event-stream" : "application/json";
    return route.fulfill({ status, headers, contentType, body });
  });
  return requests;
}

const words = (text) => text.split(/(?<=\s)/u).map((content) => ({ content }));

const MARKDOWN = `Here is **how**, with \`code\` and a [link](https://example.org/a):

## Steps

1. Write it:
   - quickly,
   - or *slowly*
2. Run it

\`\`\`rust
fn main() {
    println!("a line that is too long for the screen of a telephone, so that it has to be moved sideways to be read");
}
\`\`\`

| name | meaning |
|---|---|
| a | <b>not bold</b> |

<img src=x onerror=alert(1)>[x](javascript:alert(2))`;

test("Chat is the first tab where a model converses, and is not there where none does", async () => {
  await onPage(async (page) => {
    await page.getByRole("tab", { name: "Chat", selected: true }).waitFor();
    assert.deepEqual(await page.getByRole("tab").allInnerTexts(), ["Chat", "Text", "Pictures"]);
    assert.deepEqual(await page.locator("#chat-model option").allTextContents(), ["tales-chat"]);
    await set(page, {});
    assert.equal(await control(page, "Temperature").getAttribute("placeholder"), "0.6");
    assert.equal(await control(page, "Top-k").getAttribute("placeholder"), "all");
    await checkAccessibility(page);
    await screenshot(page, "chat-empty");
  });
  const other = await startServer("--model", "tales");
  try {
    await withPage(browser, other.url, DESKTOP, async (page) => {
      await page.locator("#model option").first().waitFor({ state: "attached" });
      assert.deepEqual(await page.getByRole("tab").allInnerTexts(), ["Text", "Pictures"]);
      assert.ok(await page.getByRole("tab", { name: "Text", selected: true }).isVisible());
    });
  } finally {
    await other.stop();
  }
});

test("a conversation goes on, and its link asks for the same answer", () =>
  onPage(async (page) => {
    await page.locator("#chat-system-details summary").click();
    await control(page, "System prompt").fill("You tell tales.");
    await set(page, { "Max tokens": 12, Seed: 5 });
    await say(page, "Who is the king & his “fox”?");
    await say(page, "And the queen?");
    const said = await texts(page);
    assert.deepEqual([said[0], said[2], said.length], ["Who is the king & his “fox”?", "And the queen?", 4]);
    assert.match(await messages(page).last().locator(".note").textContent(), /12 tokens.*of 256 tokens of context used\. Seed 5\.$/u);
    await withPage(browser, page.url(), DESKTOP, async (other) => {
      await untilStatus(other, /^The conversation of the link/u);
      assert.equal(await control(other, "System prompt").inputValue(), "You tell tales.");
      assert.equal(await control(other, "Message").inputValue(), "And the queen?");
      assert.deepEqual(await texts(other), said.slice(0, 2));
      await press(other, "Send");
      await untilStatus(other, /^Answer/u);
      assert.deepEqual(await texts(other), said);
    });
    await page.reload();
    await untilStatus(page, /^The conversation of the link/u);
  }));

test("an answer is regenerated, and a message edited and sent anew", () =>
  onPage(async (page) => {
    await set(page, { "Max tokens": 8, Temperature: 1 });
    await say(page, "One");
    await say(page, "Two");
    const [, first, , second] = await texts(page);
    assert.equal(await chat(page).getByRole("button", { name: "Regenerate" }).count(), 1);
    await press(page, "Regenerate");
    await page.waitForFunction((old) => document.getElementById("status").textContent !== `Answer: ${old}`, second);
    await untilStatus(page, /^Answer/u);
    const again = await texts(page);
    assert.deepEqual([again[1], again.length], [first, 4]);
    assert.notEqual(again[3], second, "another seed gives another answer");
    await messages(page).first().getByRole("button", { name: "Edit" }).click();
    await page.getByRole("textbox", { name: "Your message" }).fill("Three");
    await page.keyboard.press("Enter");
    await untilStatus(page, /^Answer/u);
    const edited = await texts(page);
    assert.deepEqual([edited[0], edited.length], ["Three", 2]);
    await messages(page).first().getByRole("button", { name: "Edit" }).click();
    await page.keyboard.press("Escape");
    assert.deepEqual(await texts(page), edited);
  }));

test("Stop and Escape end an answer and keep what there is", async () => {
  const gate = await Gate.open(server.url);
  try {
    await withPage(browser, gate.url, DESKTOP, async (page) => {
      for (const stop of [() => press(page, "Stop"), () => page.keyboard.press("Escape")]) {
        await set(page, { Seed: 1 });
        await control(page, "Message").fill("Go on");
        // The gate must hold this answer's events before one is let through, not the last one's.
        await Promise.all([page.waitForResponse("**/v1/chat/completions"), page.keyboard.press("Enter")]);
        for (let shown = 0; shown < 5; ) shown += Number((await gate.pass()).choices[0].delta.content?.trim().length > 0);
        await messages(page).last().locator(".markdown > *").first().waitFor();
        await stop();
        await untilStatus(page, /^Stopped after/u);
        assert.equal(await messages(page).last().locator(".note").textContent(), "Stopped.");
        assert.ok(await messages(page).last().getByRole("button", { name: "Regenerate" }).isVisible());
        await press(page, "New conversation");
        assert.equal(await messages(page).count(), 0);
      }
    });
  } finally {
    await gate.close();
  }
});

test("probabilities and alternatives of an answer's tokens are shown on demand", () =>
  onPage(async (page) => {
    await set(page, { "Max tokens": 10, Temperature: 0 });
    await say(page, "Tell a tale");
    const [, answer] = await texts(page);
    await press(page, "Probabilities");
    const tokens = messages(page).last().locator(".written .token");
    assert.equal((await tokens.allTextContents()).join("").trim(), answer.trim());
    await tokens.nth(2).click();
    assert.equal(await chat(page).getByRole("list", { name: "Alternatives" }).getByRole("listitem").count(), 5);
    await checkAccessibility(page);
    await screenshot(page, "chat-probabilities");
    await press(page, "Probabilities");
    assert.deepEqual((await texts(page))[1], answer);
  }));

test("Markdown is drawn, and nothing that a model or a person writes becomes an element of its own", () =>
  onPage(async (page) => {
    await answerWith(page, recorded(words(MARKDOWN)));
    await say(page, "<img src=x onerror=alert(3)> **How?**");
    const answer = messages(page).last().locator(".markdown");
    assert.equal(await page.locator("#messages").locator("img, script, b").count(), 0);
    assert.match(await answer.textContent(), /<b>not bold<\/b>.*<img src=x onerror=alert\(1\)>\[x\]\(javascript:alert\(2\)\)$/su);
    assert.deepEqual(await answer.locator("a").evaluateAll((links) => links.map((link) => [link.href, link.rel])), [["https://example.org/a", "noopener noreferrer"]]);
    const kinds = await answer.locator("> *").evaluateAll((blocks) => blocks.map((block) => block.tagName));
    assert.deepEqual(kinds, ["P", "H4", "OL", "DIV", "DIV", "P"]);
    await answer.getByRole("button", { name: "Copy code" }).click();
    await untilStatus(page, /^Copied/u);
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^fn main\(\) \{\n {4}println.*\n\}$/su);
    await press(page, "Copy");
    await page.waitForFunction((text) => navigator.clipboard.readText().then((copied) => copied === text), MARKDOWN);
    await checkAccessibility(page);
    await screenshot(page, "chat");
  }));

test("a thought stands apart, closes when the answer begins, and goes back with the conversation", () =>
  onPage(async (page) => {
    const thought = [{ reasoning_content: "The capital of " }, { reasoning_content: "France…" }];
    const requests = await answerWith(page, recorded([...thought, ...words("It is Paris.")]));
    await say(page, "What is the capital of France?");
    const details = messages(page).last().locator("details.thought");
    assert.equal(await details.evaluate((node) => node.open), false);
    await details.getByText("Thought").click();
    assert.equal(await details.locator("p").textContent(), "The capital of France…");
    assert.deepEqual((await texts(page))[1], "It is Paris.");
    await checkAccessibility(page);
    await screenshot(page, "chat-thought");
    await say(page, "Sure?");
    assert.deepEqual(requests[1].messages[1], { role: "assistant", content: "It is Paris.", reasoning_content: "The capital of France…" });
  }));

test("the conversation is exported as the body of a request", () =>
  onPage(async (page) => {
    await answerWith(page, recorded(words("Hello there.")));
    await set(page, { Temperature: 0.5 });
    await say(page, "Hello");
    const [download] = await Promise.all([page.waitForEvent("download"), press(page, "Export as JSON")]);
    assert.equal(download.suggestedFilename(), "conversation.json");
    const messagesOf = [{ role: "user", content: "Hello" }, { role: "assistant", content: "Hello there." }];
    assert.deepEqual(JSON.parse(readFileSync(await download.path(), "utf8")), { model: "tales-chat", messages: messagesOf, temperature: 0.5 });
  }));

test("a full context is told of, and a new conversation offered", () =>
  onPage(async (page) => {
    await answerWith(page, recorded(words("and so on"), { reason: "length", total: 256 }));
    await say(page, "Tell everything");
    await messages(page).last().getByText("The context of 256 tokens is full").waitFor();
    await checkAccessibility(page);
    await page.unroute("**/v1/chat/completions");
    const message = "This model's maximum context length is 256 tokens; `messages` has 300";
    await answerWith(page, JSON.stringify({ error: { message, type: "invalid_request_error", code: "context_length_exceeded" } }), { status: 400 });
    await control(page, "Message").fill("More");
    await press(page, "Send");
    const alert = page.getByRole("alert");
    await alert.getByText("maximum context length").waitFor();
    await checkAccessibility(page);
    await screenshot(page, "chat-full");
    await alert.getByRole("button", { name: "New conversation" }).click();
    assert.equal(await messages(page).count(), 0);
  }));

test("a busy server says how long to wait, and the same question is asked again", () =>
  onPage(async (page) => {
    const error = JSON.stringify({ error: { message: "no place is free", type: "rate_limit_error", code: "queue_full" } });
    await answerWith(page, error, { status: 429, headers: { "retry-after": "3" } });
    await control(page, "Message").fill("Hello");
    await press(page, "Send");
    await page.getByRole("alert").getByText("It asks you to wait 3 seconds.").waitFor();
    assert.deepEqual(await texts(page), ["Hello"]);
    await page.unroute("**/v1/chat/completions");
    await answerWith(page, recorded(words("Hello to you.")));
    await page.getByRole("button", { name: "Try again" }).click();
    await untilStatus(page, /^Answer/u);
    assert.deepEqual(await texts(page), ["Hello", "Hello to you."]);
  }));

test("links that are damaged, for another model, or too long are told of", () =>
  onPage(async (page) => {
    await page.getByRole("alert").getByText("This link is damaged").waitFor();
    const link = new URLSearchParams({ model: "elsewhere", messages: JSON.stringify([{ role: "user", content: "Hi" }]) });
    await page.goto(`${server.url}/#${link}`);
    await page.locator("#chat-model-hint").getByText("The link asks for elsewhere").waitFor();
    await answerWith(page, recorded(words("A long story.")));
    await say(page, "x".repeat(40_000));
    assert.equal(new URL(page.url()).hash, "");
    assert.ok(await page.getByText("This conversation is too long for a link").isVisible());
  }, DESKTOP, "/#messages=%5B1%5D"));

test("a conversation is held by keyboard alone", () =>
  onPage(async (page) => {
    await page.getByRole("tab", { name: "Chat", selected: true }).waitFor();
    await answerWith(page, recorded(words("Of course.")));
    const tabTo = (name) => pressTabTo(page, name);
    await tabTo("message");
    await page.keyboard.type("One line");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("and another");
    await page.keyboard.press("Enter");
    await untilStatus(page, /^Answer: Of course/u);
    assert.deepEqual(await texts(page), ["One line\nand another", "Of course."]);
    await page.getByRole("tab", { name: "Chat" }).focus();
    await tabTo("Edit");
    await page.keyboard.press("Enter");
    await page.keyboard.press("End");
    await page.keyboard.type("!");
    await page.keyboard.press("Enter");
    await untilStatus(page, /^Answer: Of course/u);
    assert.equal((await texts(page))[0], "One line\nand another!");
    await page.getByRole("tab", { name: "Chat" }).focus();
    await page.keyboard.press("ArrowLeft");
    assert.ok(await page.getByRole("heading", { name: "Say what a picture shows" }).isVisible());
  }));

for (const colorScheme of ["light", "dark"]) {
  test(`a conversation fits on a phone, in ${colorScheme}, and nothing is inaccessible`, () =>
    onPage(
      async (page) => {
        await answerWith(page, recorded([{ reasoning_content: "Steps are best." }, ...words(MARKDOWN)]));
        await say(page, "How do I write a program?");
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
        await checkAccessibility(page);
        await screenshot(page, `phone-${colorScheme}-chat`);
        await press(page, "Probabilities");
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
        await checkAccessibility(page);
      },
      { ...PHONE, colorScheme },
    ));
}

test("in the dark nothing of a conversation is inaccessible", () =>
  onPage(
    async (page) => {
      await answerWith(page, recorded(words(MARKDOWN)));
      await say(page, "How do I write a program?");
      await checkAccessibility(page);
      await screenshot(page, "chat-dark");
    },
    { ...DESKTOP, colorScheme: "dark" },
  ));
