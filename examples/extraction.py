"""Makes an order's fields of a sentence: asks for JSON, checks what comes, and asks again if it is not that.

Carafe cannot bind answers to a schema yet, so the program is the judge: what it prints has just these fields with values
of these types. That they are the right ones no check can tell; look at them.

    python examples/extraction.py "Please send me two kilos of coffee beans for 31.50 euros."
"""

import argparse
import json
import sys

import openai

ATTEMPTS = 5
FIELDS = {"product": (str,), "quantity": (int,), "price": (int, float)}
SYSTEM = """You turn an order into JSON with the fields product, quantity and price. Write nothing else.
Order: I would like 3 bottles of milk at 1.20 each.
{"product": "milk", "quantity": 3, "price": 1.2}"""


def check(text: str) -> dict:
    """Return the object in a text, or say in a ValueError what is wrong with it."""
    if "{" not in text:
        raise ValueError("there is no JSON")
    order, _ = json.JSONDecoder().raw_decode(text[text.index("{") :])
    if set(order) != set(FIELDS):
        raise ValueError(f"the fields are {', '.join(order) or 'none'}; {', '.join(FIELDS)} were expected")
    for name, types in FIELDS.items():
        if type(order[name]) not in types:
            raise ValueError(f"`{name}` is {json.dumps(order[name])}; {types[-1].__name__} was expected")
    return order


def extract(client: openai.OpenAI, model: str, sentence: str) -> dict | None:
    """Ask until an answer passes; None if none does."""
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"Order: {sentence}"}]
    for attempt in range(ATTEMPTS):
        # the first answer is the most probable one; later ones are drawn, each from another seed
        choice = {"temperature": 0.7 if attempt else 0, "seed": attempt, "max_tokens": 60}
        completion = client.chat.completions.create(model=model, messages=messages, **choice)
        try:
            return check(completion.choices[0].message.content)
        except ValueError as error:
            print(f"attempt {attempt + 1}: {error}", file=sys.stderr)
    return None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Makes an order's fields of a sentence.")
    parser.add_argument("sentence")
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    arguments = parser.parse_args()
    client = openai.OpenAI(base_url=f"{arguments.url}/v1", api_key="not asked for")
    order = extract(client, client.models.list().data[0].id, arguments.sentence)
    print(json.dumps(order) if order else f"no valid answer in {ATTEMPTS} attempts", file=sys.stdout if order else sys.stderr)
    sys.exit(order is None)
