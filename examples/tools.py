"""Lets a model use tools: it may answer with a call as JSON, which this program checks, carries out and gives back.

Carafe does not parse tool calls yet, so the program asks for a form of its own. A small model often writes none, or a
wrong one: whatever does not name a tool with just its arguments is refused, and the model may try again.

    python examples/tools.py "What is 417 times 23?"
"""

import argparse
import json
import sys

import openai

TURNS = 6


def multiply(a: float, b: float) -> float:
    return a * b


def letters(text: str) -> int:
    return sum(letter.isalpha() for letter in text)


# each tool with the types of its arguments; nothing else can be called
TOOLS = {"multiply": (multiply, {"a": float, "b": float}), "letters": (letters, {"text": str})}
SYSTEM = """You answer questions, with the help of tools. To use a tool, write only its call as JSON:
{"tool": "multiply", "arguments": {"a": 6, "b": 7}} multiplies two numbers;
{"tool": "letters", "arguments": {"text": "tea"}} counts the letters of a text.
You are told the result, and then answer in one sentence."""


def parse_call(text: str) -> tuple[str, dict]:
    """Return the call that an answer holds, or say in a ValueError what is wrong with it."""
    call, _ = json.JSONDecoder().raw_decode(text[text.index("{") :])
    if set(call) != {"tool", "arguments"} or call["tool"] not in [*TOOLS] or not isinstance(call["arguments"], dict):
        raise ValueError(f"expected `tool`, one of {', '.join(TOOLS)}, and `arguments`")
    types, arguments = TOOLS[call["tool"]][1], call["arguments"]
    if set(arguments) != set(types):
        raise ValueError(f"`{call['tool']}` has the arguments {', '.join(types)}")
    for name, kind in types.items():
        if type(arguments[name]) not in ((int, float) if kind is float else (kind,)):
            raise ValueError(f"`{name}` must be a {'number' if kind is float else 'text'}")
    return call["tool"], arguments


def answer(client: openai.OpenAI, model: str, question: str) -> str | None:
    """Talk until the model answers without a call; None if it never does."""
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
    for _ in range(TURNS):
        completion = client.chat.completions.create(model=model, messages=messages, max_tokens=100, temperature=0)
        text = completion.choices[0].message.content.strip()
        if "{" not in text:
            return text
        try:
            name, arguments = parse_call(text)
            result = TOOLS[name][0](**arguments)
            print(f"call: {name} {json.dumps(arguments)} gives {result}")
            reply = f"The result is {result}. Answer my question with it: {question}"
        except ValueError as error:
            print(f"refused: {error}")
            reply = f"That call was refused: {error}. Try again: {question}"
        messages += [{"role": "assistant", "content": text}, {"role": "user", "content": reply}]
    return None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Lets a model use tools.")
    parser.add_argument("question")
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    arguments = parser.parse_args()
    client = openai.OpenAI(base_url=f"{arguments.url}/v1", api_key="not asked for")
    text = answer(client, client.models.list().data[0].id, arguments.question)
    print(f"answer: {text}" if text else f"no answer in {TURNS} turns")
    sys.exit(text is None)
