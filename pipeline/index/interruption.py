"""Ends a query that runs in another thread, because nobody waits for its answer any more."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from pipeline.errors import InterruptedQueryError


class Interruption:
    """One request to end the queries of a connection; it may come at any moment."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._is_asked = threading.Event()

    def interrupt(self) -> None:
        """End the query that runs now, and refuse further ones."""
        self._is_asked.set()
        self._connection.interrupt()

    def refuse_if_asked(self) -> None:
        """Refuse a query that would begin after the request.

        Raises:
            InterruptedQueryError: the request has come.
        """
        if self._is_asked.is_set():
            raise InterruptedQueryError


@contextmanager
def interruptible(connection: duckdb.DuckDBPyConnection) -> Iterator[Interruption]:
    """A context in which the interruption of a query is an ``InterruptedQueryError``."""
    try:
        yield Interruption(connection)
    except duckdb.InterruptException as exc:
        raise InterruptedQueryError from exc
