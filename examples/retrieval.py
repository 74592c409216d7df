"""Answers a question from the texts of a folder: finds the passages that fit best, and gives them to the model with it.

Carafe has no embeddings yet, so passages are found by their words (BM25): those of the question must be in them.

    python examples/retrieval.py docs "How much memory does the KV cache take?"
"""

import argparse
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import openai

ENDINGS = (".md", ".txt")
# BM25's usual settings: how soon a repeated word counts no more, and how much long passages are marked down
SATURATION, LENGTH = 1.5, 0.75
SYSTEM = "Answer in one or two sentences, from the passages alone. If they do not say it, say so."


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def passages(folder: Path) -> Iterator[tuple[Path, str]]:
    """Give each paragraph of each text, with the file that it is from."""
    for path in sorted(path for path in folder.rglob("*") if path.suffix in ENDINGS):
        for text in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")):
            if len(words(text)) > 4:
                yield path, text.strip()


def best(question: str, found: list[tuple[Path, str]], count: int) -> list[tuple[float, Path, str]]:
    """Return the passages that share most of the question's rarer words, best first."""
    counts = [Counter(words(text)) for _, text in found]
    average = sum(sum(count.values()) for count in counts) / max(len(counts), 1)
    scores = [0.0] * len(found)
    for word in set(words(question)):
        having = sum(word in count for count in counts)
        rarity = math.log(1 + (len(found) - having + 0.5) / (having + 0.5))
        for index, count_of in enumerate(counts):
            length = 1 - LENGTH + LENGTH * sum(count_of.values()) / average
            scores[index] += rarity * count_of[word] * (SATURATION + 1) / (count_of[word] + SATURATION * length)
    ranked = sorted(zip(scores, found, strict=True), key=lambda entry: -entry[0])
    return [(score, path, text) for score, (path, text) in ranked[:count] if score > 0]


def main() -> None:
    parser = argparse.ArgumentParser(description="Answers a question from the texts of a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("question")
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    parser.add_argument("--passages", type=int, default=3)
    parser.add_argument("--characters", type=int, default=1500, help="of each passage at most, so that all fit the context")
    parser.add_argument("--max-tokens", type=int, default=120)
    options = parser.parse_args()
    found = best(options.question, list(passages(options.folder)), options.passages)
    for score, path, text in found:
        print(f"{score:6.2f}  {path}: {' '.join(text.split())[:80]}")
    if not found:
        print("no passage shares a word with the question")
        return
    client = openai.OpenAI(base_url=f"{options.url}/v1", api_key="not asked for")
    texts = "\n\n".join(text[: options.characters] for _, _, text in found)
    prompt = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"{texts}\n\nQuestion: {options.question}"}]
    completion = client.chat.completions.create(
        model=client.models.list().data[0].id, messages=prompt, max_tokens=options.max_tokens, temperature=0
    )
    print(f"answer: {completion.choices[0].message.content.strip()}")


if __name__ == "__main__":
    main()
