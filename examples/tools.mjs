// Lets a model use tools: it may answer with a call as JSON, which this program checks, carries out and gives back.
//
// Carafe does not parse tool calls yet, so the program asks for a form of its own. A small model often writes none, or
// a wrong one: whatever does not name a tool with just its arguments is refused, and the model may try again.
//
//     node examples/tools.mjs "What is 417 times 23?"

import { parseArgs } from "node:util";
import OpenAI from "openai";

const TURNS = 6;

/** Each tool with the types of its arguments; nothing else can be called. */
const TOOLS = new Map([
  ["multiply", { run: ({ a, b }) => a * b, types: { a: "number", b: "number" } }],
  ["letters", { run: ({ text }) => [...text].filter((letter) => /\p{L}/u.test(letter)).length, types: { text: "string" } }],
]);
const SYSTEM = `You answer questions, with the help of tools. To use a tool, write only its call as JSON:
{"tool": "multiply", "arguments": {"a": 6, "b": 7}} multiplies two numbers;
{"tool": "letters", "arguments": {"text": "tea"}} counts the letters of a text.
You are told the result, and then answer in one sentence.`;

const keys = (value) => Object.keys(value ?? {}).sort().join(", ");

/** The call that an answer holds; an error says what is wrong with it. */
function parseCall(text) {
  const call = JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1));
  const tool = TOOLS.get(call.tool);
  if (keys(call) !== "arguments, tool" || tool === undefined) {
    throw new Error(`expected \`tool\`, one of ${[...TOOLS.keys()].join(", ")}, and \`arguments\``);
  }
  if (keys(call.arguments) !== keys(tool.types)) {
    throw new Error(`\`${call.tool}\` has the arguments ${keys(tool.types)}`);
  }
  for (const [name, type] of Object.entries(tool.types)) {
    if (typeof call.arguments[name] !== type) throw new Error(`\`${name}\` must be a ${type}`);
  }
  return call;
}

/** Talks until the model answers without a call; undefined if it never does. */
async function answer(client, model, question) {
  const messages = [{ role: "system", content: SYSTEM }, { role: "user", content: question }];
  for (let turn = 0; turn < TURNS; turn += 1) {
    const completion = await client.chat.completions.create({ model, messages, max_tokens: 100, temperature: 0 });
    const text = completion.choices[0].message.content.trim();
    if (!text.includes("{")) return text;
    messages.push({ role: "assistant", content: text }, { role: "user", content: reply(text, question) });
  }
  return undefined;
}

/** Carries a call out, and says what came of it. */
function reply(text, question) {
  try {
    const call = parseCall(text);
    const result = TOOLS.get(call.tool).run(call.arguments);
    console.log(`call: ${call.tool} ${JSON.stringify(call.arguments)} gives ${result}`);
    return `The result is ${result}. Answer my question with it: ${question}`;
  } catch (error) {
    console.log(`refused: ${error.message}`);
    return `That call was refused: ${error.message}. Try again: ${question}`;
  }
}

const options = { url: { type: "string", default: "http://127.0.0.1:3000" } };
const { values, positionals } = parseArgs({ options, allowPositionals: true });
const client = new OpenAI({ baseURL: `${values.url}/v1`, apiKey: "not asked for" });
const [model] = (await client.models.list()).data;
const text = await answer(client, model.id, positionals.join(" "));
console.log(text === undefined ? `no answer in ${TURNS} turns` : `answer: ${text}`);
process.exitCode = text === undefined ? 1 : 0;
