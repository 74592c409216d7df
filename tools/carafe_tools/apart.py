"""Calls a function in a process of its own, so that what it takes of memory is given back, and what it breaks is its own.

Goes in: a function of a module and its arguments. Comes out: what it returns; a `ConversionError` that it raises is raised here
as well. A process that ends before it answers, killed for its memory say, is an error in one sentence.
"""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, ParamSpec, TypeVar

from carafe_tools.errors import ConversionError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def apart(what: str, function: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
    """Return what a function returns in a fresh process; `what` names for people what is done there."""
    spawn: Any = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
            return pool.submit(function, *arguments, **named).result()
    except BrokenProcessPool as error:
        raise ConversionError(f"the process that was to {what} ended before it answered; was there memory enough?") from error
