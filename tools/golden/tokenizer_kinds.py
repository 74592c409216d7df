"""Writes the golden file of the tokenizers: what the Python package `tokenizers` makes of small
files of every kind.

In:  nothing; the tokenizers are built here from a few words, the texts are drawn with a fixed seed.
Out: `crates/carafe-core/tests/golden/tokenizers.json`: tokenizers, and for each texts with their
     ids (with and without what the post-processor adds, special tokens parsed or not), pieces of
     conversations with their ids, and lists of ids with the text that their end adds to that of
     their beginning. The same bytes every time.
Why: the core has models, added tokens and decoders of its own, and must agree with the library in
     all of them.

    python tools/golden/tokenizer_kinds.py
    python tools/golden/tokenizer_kinds.py --out /tmp/tokenizers.json
"""

import argparse
import json
import random
from pathlib import Path

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

ROOT = Path(__file__).resolve().parents[2]
WORDS = ["hello", "the", "there", "cat", "cats", "naïve", "日本", "straße", "12", "..."]
# A GPT-like pattern for words, numbers and punctuation.
PATTERN = r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
ALPHABETS = [
    "helothrcats ",
    "the cat's 123.",
    " \t\n\r  \u3000",
    "日本naïve straße",
    "e\u0301\u0308Å\u212b",
    "🙂👍🏽\u200d",
    "▁Ġ#<>[]|/",
    "\x00\x07\x7f\u200b",
]
NUM_TEXTS = 60
NUM_STREAMS = 60
NUM_CONVERSATIONS = 20


def merges_of(words, start):
    """Merges that join each word from its left, and all texts that come about."""
    merges, texts = [], []
    for word in words:
        parts = start(word)
        while len(parts) > 1:
            pair = (parts[0], parts[1])
            if pair not in merges:
                merges.append(pair)
                texts.append(parts[0] + parts[1])
            parts = [parts[0] + parts[1], *parts[2:]]
    return merges, texts


def vocabulary(texts):
    """Ids in the order in which the texts first occur."""
    return {text: number for number, text in enumerate(dict.fromkeys(texts))}


def byte_characters(word):
    """A word as byte-level BPE writes it."""
    return list(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(word)[0][0])


def byte_level(**options):
    """As Qwen and Llama 3: NFC, a pattern, bytes, a BOS token before the text."""
    spaced = [*WORDS, *(f" {word}" for word in WORDS)]
    merges, texts = merges_of(spaced, byte_characters)
    vocab = vocabulary([*sorted(pre_tokenizers.ByteLevel.alphabet()), *texts])
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, **options))
    tokenizer.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(PATTERN), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|bos|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens(["<think>", "\n\n\n"])
    bos = tokenizer.token_to_id("<|bos|>")
    tokenizer.post_processor = processors.TemplateProcessing(single="<|bos|> $A", special_tokens=[("<|bos|>", bos)])
    return tokenizer


def sentencepiece_vocabulary():
    """Special tokens, bytes, characters and merges as Llama 2 has them."""
    spaced = [f"▁{word}" for word in WORDS] + WORDS
    merges, texts = merges_of(spaced, list)
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    characters = sorted({character for word in spaced for character in word})
    return vocabulary(["<unk>", "<s>", "</s>", *fallback, *characters, *texts]), merges


def byte_fallback():
    """As Llama 2: a space before every text, bytes for what has no token."""
    vocab, merges = sentencepiece_vocabulary()
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def metaspace(fuse_unk):
    """As Mistral's newer files: a space before the first text alone, unknown characters."""
    vocab, merges = sentencepiece_vocabulary()
    vocab = {text: number for text, number in vocab.items() if not text.startswith("<0x")}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=fuse_unk))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    tokenizer.add_special_tokens(["<s>", "</s>"])
    return tokenizer


def unigram(byte_fallback):
    """As T5: scores, an EOS token after the text."""
    fallback = [f"<0x{byte:02X}>" for byte in range(256)] if byte_fallback else []
    words = [*WORDS, *(f"▁{word}" for word in WORDS), "he", "th", "ca", "ts", "▁"]
    texts = dict.fromkeys(["<unk>", "</s>", *fallback, *words, *sorted(set("".join(WORDS)) - {"ß"})])
    vocab = [(text, -float(number % 17) - 1 / (1 + len(text))) for number, text in enumerate(texts)]
    tokenizer = Tokenizer(models.Unigram(vocab, unk_id=0, byte_fallback=byte_fallback))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    parts = [decoders.Metaspace()] + ([decoders.ByteFallback(), decoders.Fuse()] if byte_fallback else [])
    tokenizer.decoder = decoders.Sequence(parts)
    tokenizer.add_special_tokens(["<unk>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return tokenizer


def wordpiece():
    """As BERT."""
    pieces = ["hello", "the", "##re", "cat", "##s", "na", "##ive", "日", "本", "stra", "##sse", "1", "##2", ".", "'", "e"]
    vocab = vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces])
    tokenizer = Tokenizer(models.WordPiece(vocab=vocab, unk_token="[UNK]", max_input_chars_per_word=20))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(["[UNK]", "[CLS]", "[SEP]", AddedToken("[MASK]", lstrip=True)])
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def added():
    """Every way in which an added token is found, and no decoder."""
    merges, texts = merges_of(["hello", "cat"], list)
    characters = sorted(set("".join(WORDS)) | set(" \n\t<>|/[]'"))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary([*characters, *texts, "?"]), merges=merges, unk_token="?"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", behavior="merged_with_next")
    tokenizer.add_special_tokens(
        [
            AddedToken("<left>", lstrip=True, normalized=False),
            AddedToken("<right>", rstrip=True, normalized=False),
            AddedToken("<both>", lstrip=True, rstrip=True, normalized=False),
            "<a>",
            "<a><b>",
        ]
    )
    tokenizer.add_tokens(
        [AddedToken("the", normalized=True), AddedToken("word", single_word=True, normalized=False), "<b>c", "e t"]
    )
    return tokenizer


KINDS = {
    "byte level": lambda: byte_level(),
    "byte level, whole words first": lambda: byte_level(ignore_merges=True),
    "byte fallback": byte_fallback,
    "metaspace": lambda: metaspace(fuse_unk=False),
    "metaspace, unknown characters fused": lambda: metaspace(fuse_unk=True),
    "unigram": lambda: unigram(byte_fallback=False),
    "unigram with byte fallback": lambda: unigram(byte_fallback=True),
    "wordpiece": wordpiece,
    "added tokens": added,
}


def words_of(draw, tokenizer, with_added):
    """A text of a few parts, among them texts of added tokens if those are wanted."""
    contents = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    parts = []
    for _ in range(draw.randint(0, 6)):
        kind = draw.randrange(4 if with_added else 3)
        if kind == 0:
            parts.append(draw.choice(WORDS).upper() if draw.random() < 0.2 else draw.choice(WORDS))
        elif kind == 1:
            parts.append("".join(draw.choice(draw.choice(ALPHABETS)) for _ in range(draw.randint(1, 5))))
        elif kind == 2:
            parts.append(draw.choice([" ", "  ", "\n", ""]))
        else:
            parts.append(draw.choice(contents))
    return "".join(parts)


def spells_out(tokenizer, text):
    """Whether the library's model makes a special token of its text though that must not be parsed,
    as Unigram does.
    """
    special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    return any(number in special and "unk" not in tokenizer.id_to_token(number).lower() for number in ids)


def texts_of(draw, tokenizer):
    """Texts and their ids in every way of encoding."""
    cases = []
    for _ in range(NUM_TEXTS):
        text = words_of(draw, tokenizer, with_added=True)
        for add in (True, False):
            for parse in (True, False):
                tokenizer.encode_special_tokens = not parse
                if not parse and spells_out(tokenizer, text):
                    continue
                ids = tokenizer.encode(text, add_special_tokens=add).ids
                cases.append({"text": text, "add_special_tokens": add, "parse_special": parse, "ids": ids})
    tokenizer.encode_special_tokens = False
    return cases


def conversations_of(draw, tokenizer):
    """Control tokens, by id, and texts that hold none; and the ids of the whole text."""
    special = {number: token for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    cases = []
    while len(cases) < NUM_CONVERSATIONS:
        pieces = [
            draw.choice(list(special)) if draw.random() < 0.4 else words_of(draw, tokenizer, with_added=False)
            for _ in range(draw.randint(1, 6))
        ]
        texts = [special[piece].content if isinstance(piece, int) else piece for piece in pieces]
        whole = "".join(texts)
        count = sum(whole.count(token.content) for token in special.values())
        wanted = sum(text.count(token.content) for text in texts for token in special.values())
        if count == wanted:
            cases.append({"pieces": pieces, "ids": tokenizer.encode(whole, add_special_tokens=False).ids})
    return cases


def streams_of(draw, tokenizer):
    """Ids, a cut, and what the text of all goes on with after that of the ids before the cut, if it
    does.
    """
    vocab = tokenizer.get_vocab(with_added_tokens=True)
    everything = sorted(vocab.values())
    parts = sorted(number for text, number in vocab.items() if text.startswith("<0x")) or everything
    cases = []
    for _ in range(NUM_STREAMS):
        ids = []
        for _ in range(draw.randint(1, 4)):
            kind = draw.randrange(3)
            if kind == 0:
                ids.append(draw.choice(everything))
            elif kind == 1:
                ids += tokenizer.encode(words_of(draw, tokenizer, with_added=False), add_special_tokens=False).ids
            else:
                ids += [draw.choice(parts[0x80:] or parts) for _ in range(draw.randint(1, 3))]
        cut, skip = draw.randint(0, len(ids)), draw.random() < 0.5
        prompt = tokenizer.decode(ids[:cut], skip_special_tokens=skip)
        whole = tokenizer.decode(ids, skip_special_tokens=skip)
        rest = whole.removeprefix(prompt) if whole.startswith(prompt) else None
        cases.append({"ids": ids, "cut": cut, "skip_special_tokens": skip, "whole": whole, "rest": rest})
    return cases


def golden():
    """All tokenizers with their cases."""
    draw = random.Random(17)
    kinds = []
    for name, build in KINDS.items():
        tokenizer = build()
        kinds.append(
            {
                "name": name,
                "tokenizer": json.loads(tokenizer.to_str()),
                "texts": texts_of(draw, tokenizer),
                "conversations": conversations_of(draw, tokenizer),
                "streams": streams_of(draw, tokenizer),
            }
        )
    return kinds


def main():
    """Writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = ROOT / "crates/carafe-core/tests/golden/tokenizers.json"
    parser.add_argument("--out", type=Path, default=default, help="file to write (default: %(default)s)")
    options = parser.parse_args()
    lines = ",\n".join(json.dumps(kind, ensure_ascii=True, sort_keys=False) for kind in golden())
    options.out.write_text(f"[\n{lines}\n]\n")
    print(json.dumps({"out": str(options.out)}))


if __name__ == "__main__":
    main()
