"""Work done ahead of whoever takes its results, in order and in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], window: int
) -> Iterator[Result]:
    """Results of ``function`` in the order of ``items``, computed up to ``window`` items ahead.

    What ``pool.map`` would do, but for its reading all of ``items`` at once and so holding all
    results that nobody took yet.
    """
    items = iter(items)
    pending: deque[Future[Result]] = deque(
        pool.submit(function, item) for item in islice(items, window)
    )
    try:
        while pending:
            result = pending.popleft().result()
            pending.extend(pool.submit(function, item) for item in islice(items, 1))
            yield result
    finally:
        for future in pending:
            future.cancel()
