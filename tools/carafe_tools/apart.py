"""Calls a function in a process of its own, so that what it takes of memory is given back, and what
it breaks is its own.

Goes in: a function of a module and its arguments. Comes out: what it returns; a `ConversionError`
or an `OSError` that it raises is raised here as well. A process that ends before it answers, killed
for its memory say, is an error in one sentence. A process whose caller was killed ends when it
would answer.
"""

import multiprocessing
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, ParamSpec, TypeVar

from carafe_tools.errors import ConversionError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def apart(what: str, function: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
    """Return what a function returns in a fresh process; `what` names for people what is done
    there.
    """
    spawn: Any = multiprocessing.get_context("spawn")
    answer, answering = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_run, args=(answering, function, arguments, named))
    process.start()
    answering.close()
    try:
        result, error = answer.recv()
    except EOFError:
        raise ConversionError(f"the process that was to {what} ended before it answered; was there memory enough?") from None
    finally:
        answer.close()
        process.join()
    if error is not None:
        raise error
    return result


def _run(answering: Connection, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    try:
        answer = (function(*arguments, **named), None)
    except (ConversionError, OSError) as error:
        answer = (None, error)
    with suppress(BrokenPipeError):  # of a caller that was killed
        answering.send(answer)
