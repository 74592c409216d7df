"""The one exception that a person sees: everything the tools refuse, they refuse with it.

Its text is one sentence in lower case that names what was found where and what was expected,
literals between backticks, without a final full stop. `__main__` prints it after `error: ` and
exits with code 1.
"""


class ConversionError(Exception):
    """A source, an option or a result that the tools refuse, in one sentence."""


def require(condition: bool, sentence: str) -> None:
    """Raise a `ConversionError` with the sentence unless the condition holds."""
    if not condition:
        raise ConversionError(sentence)
