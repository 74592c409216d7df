"""Tables in Markdown."""


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """Return a table; columns after the first two words are for numbers and stand to the right."""
    marks = ["---", *["---:"] * (len(head) - 1)]
    lines = [head, marks, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
