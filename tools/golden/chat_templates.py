"""Renders chats with Jinja2, set up as transformers sets it up, and writes the golden file of
`carafe-core`'s chat.

In:  the templates and conversations in `crates/carafe-core/tests/chat`.
Out: `crates/carafe-core/tests/chat/renderings.json`: for every template, conversation and
     generation prompt the text that Jinja2 gives, or null where it fails; and the conversations as
     JSON texts. The same bytes every time.
Why: models were trained on what transformers renders. The settings are those of
     `transformers/utils/chat_template_utils.py`, `_compile_jinja_template` (version 5.5.0), written
     here once more so that the tests need no transformers; `clients/test_chat_templates.py` uses
     them for real models' templates.

    pip install jinja2==3.1.6
    python tools/golden/chat_templates.py
"""

import argparse
import copy
import datetime
import json
import re
from pathlib import Path

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

CHAT = Path(__file__).parents[2] / "crates" / "carafe-core" / "tests" / "chat"

# What the tests' templates call special tokens; `crates/carafe-core/tests/chat/main.rs` has the
# same.
SPECIAL_TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
NOW = 1_750_000_000


class Generation(jinja2.ext.Extension):
    """`{% generation %}…{% endgeneration %}`, which marks text for training and changes nothing
    here.
    """

    tags = frozenset({"generation"})

    def parse(self, parser):
        """Make a call block of it, as transformers does, so that variables stay inside."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_same"), [], [], body).set_lineno(line)

    def _same(self, caller):
        return caller()


def compiled(source, now):
    """Compile a template that believes it is `now`, seconds since 1970."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def strftime_now(form):
        return datetime.datetime.fromtimestamp(now, datetime.UTC).replace(tzinfo=None).strftime(form)

    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = strftime_now
    return environment.from_string(source)


def messages_for(source, messages, parsed_arguments):
    """Give the messages as a user of transformers would write them for this template.

    `carafe_core::chat` documents the same steps: calls' arguments become objects, text parts one
    text where the template takes no parts, and null an empty text where it does not ask for none.
    """
    messages = copy.deepcopy(messages)
    for message in messages:
        content = message.get("content")
        if content is None and not re.search(r"\bcontent(['\"]\])? is (not )?none", source):
            message["content"] = ""
        if isinstance(content, list) and "for part in" not in source and "for item in" not in source:
            message["content"] = "\n".join(part["text"] for part in content)
        for call in message.get("tool_calls", []):
            function = call["function"]
            if parsed_arguments:
                function["arguments"] = json.loads(function["arguments"])
    return messages


def render(source, special_tokens, chat, *, add_generation_prompt):
    """Render a chat; arguments stay text where the template fails over objects. Raise what Jinja2
    raises.
    """
    template = compiled(source, chat.get("now", NOW))

    def attempt(parsed_arguments):
        return template.render(
            messages=messages_for(source, chat["messages"], parsed_arguments),
            tools=chat.get("tools") or None,
            documents=None,
            add_generation_prompt=add_generation_prompt,
            **{**special_tokens, **chat.get("template_arguments", {})},
        )

    try:
        return attempt(parsed_arguments=True)
    except jinja2.exceptions.TemplateError:
        raise
    except TypeError:
        return attempt(parsed_arguments=False)


def conversations():
    """Read the conversations, by name."""
    return json.loads((CHAT / "conversations.json").read_text())


def rendered_or_none(source, chat, *, add_generation_prompt):
    """Render a chat of the tests; none where Jinja2 fails."""
    try:
        return render(source, SPECIAL_TOKENS, chat, add_generation_prompt=add_generation_prompt)
    except (jinja2.exceptions.TemplateError, TypeError, AttributeError):
        return None


def main():
    """Write the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=CHAT / "renderings.json")
    arguments = parser.parse_args()
    texts = {name: {field: json.dumps(value) for field, value in chat.items()} for name, chat in conversations().items()}
    renderings = []
    for path in sorted((CHAT / "templates").glob("*.jinja")):
        for name, chat in conversations().items():
            for prompt in (False, True):
                text = rendered_or_none(path.read_text(), chat, add_generation_prompt=prompt)
                renderings.append({"template": path.name, "chat": name, "add_generation_prompt": prompt, "text": text})
    arguments.out.write_text(json.dumps({"chats": texts, "renderings": renderings}, ensure_ascii=False, indent=1) + "\n")
    failed = sum(rendering["text"] is None for rendering in renderings)
    print(json.dumps({"renderings": len(renderings), "failed": failed}))


if __name__ == "__main__":
    main()
