"""An n-gram index of the texts of rows, ranked by BM25: a sidecar that can be rebuilt at any time.

It records which Parquet files it has read. Before each search it reads files that the tables have
gained, and drops those that they have lost, so it is as new as the tables. All hits are verified in
the tables (``hits``). So even if the n-gram index is old or wrong, no answer is wrong. One that
cannot be used, because it is damaged or came with somebody else's index, is made again.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

import duckdb
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from pipeline.errors import ConfigError
from pipeline.index import duck
from pipeline.index.filters import Span
from pipeline.index.hits import ROW_KEY, ROW_TEXT, Hits, SearchedTable, Words
from pipeline.index.sidecars import search_folder
from pipeline.index.store import Store

try:
    import platformdirs  # noqa: F401 - `search_folder` needs it
    import tantivy
except ImportError as exc:
    raise ConfigError(
        "search needs tantivy and platformdirs: pip install 'timereel[search]'; "
        "timereel query --text finds the same rows without a ranking"
    ) from exc

# In Chinese one character is a word, so the shortest n-gram has one character.
_MIN_GRAM, _MAX_GRAM = 1, 3
# Another version of DuckDB computes other row keys.
_FORMAT = f"v1-{duckdb.__version__}"
_HEAP_BYTES = 64 * 2**20
_COMMIT_ROWS = 100_000
_BATCH_ROWS = 10_000
_LOCKED_S = 120.0
_MAX_CAUSE_CHARS = 200
_FIRST_US, _LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The years 1 to 9999."""

Files = Mapping[str, SearchedTable]
"""Path of a Parquet file -> its table."""


class _LockedError(ConfigError):
    """Another process is writing the sidecar."""


class _UnusableError(Exception):
    """What is in the folder of the sidecar is none, or none can be written there."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The n-gram index in one folder."""

    folder: Path

    @classmethod
    def of(cls, store: Store) -> Self:
        """The sidecar in the folder of the index or, if that is read-only, in the user's cache."""
        return cls(search_folder(store))

    def search(
        self,
        store: Store,
        connection: duckdb.DuckDBPyConnection,
        files: Files,
        words: Words,
        span: Span,
    ) -> Hits:
        """``find`` after ``refresh``, in a sidecar that is made again if it cannot be used.

        Raises:
            ConfigError: none can be made in the folder.
        """
        with suppress(_UnusableError), _naming_unusable():
            self.refresh(store, connection, files)
            return self.find(words, span)
        try:
            with _naming_unusable():
                self.remove()
                self.refresh(store, connection, files)
                return self.find(words, span)
        except _UnusableError as exc:
            raise ConfigError(
                f"search cannot keep its n-gram index in {self.folder} ({exc}); let this user write"
                " there, and make room; timereel query --text finds the same rows without a ranking"
            ) from exc

    def refresh(self, store: Store, connection: duckdb.DuckDBPyConnection, files: Files) -> int:
        """Read new files of the tables and drop removed ones; return the number of rows read."""
        if self._known() == set(files):
            return 0
        attempts = Retrying(
            retry=retry_if_exception_type(_LockedError),
            wait=wait_fixed(0.5),
            stop=stop_after_delay(_LOCKED_S),
            reraise=True,
        )
        return attempts(self._refresh, store, connection, files)

    def find(self, words: Words, span: Span) -> Hits:
        """Rows that have every n-gram of every word and overlap ``span``, with their BM25 score."""
        index = self._index()
        schema, must = index.schema, tantivy.Occur.Must
        wanted = [
            (must, tantivy.Query.term_query(schema, "grams", gram, "freq"))
            for gram in dict.fromkeys(gram for word in words.words for gram in _longest_grams(word))
        ]
        if span.end_us is not None:
            wanted.append((must, _between(schema, "start_us", None, span.end_us - 1)))
        if span.start_us is not None:
            wanted.append((must, _between(schema, "end_us", span.start_us + 1, None)))
        query = tantivy.Query.boolean_query(wanted)
        searcher = index.searcher()
        if not (count := searcher.search(query, 1).count):  # type: ignore[attr-defined]  # stub
            return Hits(ROW_KEY)
        scored = searcher.search(query, count, count=False).hits
        addresses = [address for _, address in scored]
        keys = cast("list[int]", searcher.fast_field_values("key", addresses))
        starts_us = cast("list[int]", searcher.fast_field_values("start_us", addresses))
        if not _FIRST_US <= min(starts_us) <= max(starts_us) <= _LAST_US:
            raise _UnusableError("it holds a time outside of the years 1 to 9999")
        # A row that was read twice, as from a copy of the index, is one hit.
        first = {key: i for i, key in reversed(list(enumerate(keys)))}
        best = sorted(first.values())
        return Hits(
            ROW_KEY,
            [keys[i] for i in best],
            [scored[i][0] for i in best],
            [starts_us[i] for i in best],
        )

    def remove(self) -> None:
        """Remove the sidecar; the next search builds it again."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.folder)

    def _known(self) -> set[str]:
        try:
            known = json.loads(self._state.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return set()
        except RecursionError as exc:
            raise _UnusableError(str(exc)) from exc
        if not isinstance(known, list) or not all(isinstance(path, str) for path in known):
            raise _UnusableError(f"{self._state.name} is no list of files")
        return set(known)

    @property
    def _state(self) -> Path:
        return self.folder / _FORMAT / "files.json"

    def _refresh(self, store: Store, connection: duckdb.DuckDBPyConnection, files: Files) -> int:
        index = self._index()
        try:
            writer = index.writer(_HEAP_BYTES, 1)
        except ValueError as exc:
            if "Lock" not in str(exc):
                raise
            raise _LockedError(f"{self.folder}: another process writes it; try again") from exc
        known = self._known()  # another process may have read the files in the meantime
        for path in known - set(files):
            writer.delete_documents_by_term("file", path)
        known &= set(files)
        num_rows = uncommitted = 0
        for path in sorted(set(files) - known):
            writer.delete_documents_by_term("file", path)  # a killed process may have added some
            added = _add(writer, store, connection, files[path], path)
            num_rows, uncommitted = num_rows + added, uncommitted + added
            known.add(path)
            if uncommitted >= _COMMIT_ROWS:
                self._commit(writer, known)
                uncommitted = 0
        self._commit(writer, known)
        writer.wait_merging_threads()
        return num_rows

    def _commit(self, writer: tantivy.IndexWriter, known: set[str]) -> None:
        writer.commit()
        part = self._state.with_suffix(".tmp")
        part.write_text(json.dumps(sorted(known)), encoding="utf-8")
        part.replace(self._state)

    def _index(self) -> tantivy.Index:
        folder = self.folder / _FORMAT
        folder.mkdir(parents=True, exist_ok=True)
        index = tantivy.Index(_schema(), str(folder))
        grams = tantivy.Tokenizer.ngram(_MIN_GRAM, _MAX_GRAM, prefix_only=False)
        index.register_tokenizer("grams", tantivy.TextAnalyzerBuilder(grams).build())
        return index


@contextmanager
def _naming_unusable() -> Iterator[None]:
    """Whatever tantivy or the disk say of the sidecar becomes ``_UnusableError``."""
    try:
        yield
    except (OSError, ValueError) as exc:
        raise _UnusableError(" ".join(str(exc).split())[:_MAX_CAUSE_CHARS]) from exc
    except BaseException as exc:
        if type(exc).__name__ != "PanicException":  # of Rust; it can be caught in no other way
            raise
        raise _UnusableError(f"tantivy gives up: {exc}"[:_MAX_CAUSE_CHARS]) from exc


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("grams", tokenizer_name="grams", index_option="freq")
    builder.add_text_field("file", tokenizer_name="raw", index_option="basic")
    builder.add_unsigned_field("key", fast=True)
    builder.add_integer_field("start_us", fast=True)
    builder.add_integer_field("end_us", fast=True)
    return builder.build()


def _add(
    writer: tantivy.IndexWriter,
    store: Store,
    connection: duckdb.DuckDBPyConnection,
    name: SearchedTable,
    path: str,
) -> int:
    with duck.naming_damage(connection, [path]):
        rows = connection.execute(
            f'SELECT {ROW_KEY[name]}, lower({ROW_TEXT[name]}), epoch_us("start"), epoch_us("end") '  # noqa: S608 - constants
            f"FROM {duck.scan(store, name, [path], is_mixed=True)}"
        )
        return _add_rows(writer, rows, path)


def _add_rows(writer: tantivy.IndexWriter, rows: duckdb.DuckDBPyConnection, path: str) -> int:
    num_rows = 0
    while batch := rows.fetchmany(_BATCH_ROWS):
        for key, text, start_us, end_us in batch:
            document = tantivy.Document()
            document.add_text("grams", text)
            document.add_text("file", path)
            document.add_unsigned("key", key)
            document.add_integer("start_us", start_us)
            document.add_integer("end_us", end_us)
            writer.add_document(document)
        num_rows += len(batch)
    return num_rows


def _between(
    schema: tantivy.Schema, field: str, low: int | None, high: int | None
) -> tantivy.Query:
    """Rows whose ``field`` is in the range, both ends included; the score does not change."""
    kind = tantivy.FieldType.Integer
    return tantivy.Query.const_score_query(
        tantivy.Query.range_query(schema, field, kind, low, high), 0.0
    )


def _longest_grams(word: str) -> list[str]:
    size = min(len(word), _MAX_GRAM)
    return [word[i : i + size] for i in range(len(word) - size + 1)]
