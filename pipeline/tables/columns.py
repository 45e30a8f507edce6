"""A table is declared once: its schema, the rows of records and the records of rows follow."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from operator import attrgetter, itemgetter
from typing import Any, Generic, TypeAlias, TypeVar

import pyarrow as pa

from pipeline.errors import IndexFormatError

R = TypeVar("R")
T = TypeVar("T")

Row: TypeAlias = Mapping[str, Any]
Makers: TypeAlias = Mapping[str, Callable[..., Any]]
"""What makes a record out of its fields, by the path of that record: ``""`` is the whole."""


@dataclass(frozen=True, slots=True)
class Column(Generic[R]):
    """One column, in the one place where it is written down.

    Its value is what ``to_row`` makes of a record, else what stands at ``path``. A column with
    neither has one value for all rows of a write, which the writer gives by its name.
    """

    name: str
    kind: pa.DataType
    doc: str
    """One sentence for readers of the table."""
    _: KW_ONLY
    path: str = ""
    """The field of the record that the column gives back, as ``figures.num_events``; else ""."""
    to_row: Callable[[R], object] | None = None
    from_row: Callable[[Row], object] | None = None
    """The field, out of the whole row; without it the value of this column, lists as tuples."""
    nullable: bool = False
    """Columns that are added to a table must be: rows of older versions do not have them."""
    ends: str = ""
    """The column with the start of the range that ends here; a stored range is never empty."""
    items: "Columns[Any] | None" = None
    """What each item holds, in a list of structs."""

    @property
    def getter(self) -> Callable[[R], object] | None:
        """What makes the column's value of a record; None where the writer gives it."""
        return self.to_row or (attrgetter(self.path) if self.path else None)

    @property
    def field_reader(self) -> Callable[[Row], object]:
        """What makes the record's field at ``path`` of a row."""
        return self.from_row or (
            _tuple_getter(self.name) if pa.types.is_nested(self.kind) else itemgetter(self.name)
        )


@dataclass(frozen=True)
class Columns(Generic[R]):
    """All columns of a table, or of a struct in one, in the stored order."""

    doc: str
    columns: Sequence[Column[R]]

    @cached_property
    def schema(self) -> pa.Schema:
        """As a table is stored."""
        return pa.schema([pa.field(one.name, one.kind, one.nullable) for one in self.columns])

    @cached_property
    def struct(self) -> pa.DataType:
        """As an item of a list is stored; Delta knows no required fields there."""
        return pa.struct([(one.name, one.kind) for one in self.columns])

    def table(self, records: Iterable[R], **given: object) -> pa.Table:
        """A row for each record; ``given`` are the columns with one value for all rows."""
        all_records = list(records)
        return pa.Table.from_arrays(
            [
                pa.array(
                    [given[name]] * len(all_records)
                    if get is None
                    else [get(one) for one in all_records],
                    field.type,
                )
                for (name, get), field in zip(self._getters, self.schema, strict=True)
            ],
            schema=self.schema,
        )

    def row(self, record: R, **given: object) -> dict[str, Any]:
        """The row of one record."""
        return {name: given[name] if get is None else get(record) for name, get in self._getters}

    def empty_row(self) -> dict[str, Any]:
        """A row that says nothing: null where that may be, else 0, "" or an empty list."""
        return {one.name: None if one.nullable else _nothing(one.kind) for one in self.columns}

    def reader(self, makers: Makers, of: str = "") -> Callable[[Row], Any]:
        """What makes of a row the record at the path ``of``, with those inside it."""
        make = makers[of]
        fields = {
            name: column.field_reader
            for column in self.columns
            for owner, _, name in [column.path.rpartition(".")]
            if name and owner == of
        }
        for path in makers:
            owner, _, name = path.rpartition(".")
            if name and owner == of:
                fields[name] = self.reader(makers, path)
        readers = tuple(fields.items())

        def record(row: Row) -> Any:  # noqa: ANN401 - what the maker makes
            try:
                return make(**{name: read(row) for name, read in readers})
            except (ValueError, ArithmeticError) as exc:
                # The rows of an index may be anybody's.
                raise IndexFormatError(
                    f"a row of the index is no row of timereel ({exc}); another program wrote it:"
                    " index that recording again, or use an index that you made"
                ) from exc

        return record

    @cached_property
    def _getters(self) -> list[tuple[str, Callable[[R], object] | None]]:
        return [(one.name, one.getter) for one in self.columns]


def list_of(
    name: str, items: Columns[T], doc: str, *, path: str, makers: Makers, nullable: bool = False
) -> Column[Any]:
    """A column that holds a record's tuple of other records; null is read as none."""
    get, read = attrgetter(path), items.reader(makers)
    return Column(
        name,
        pa.list_(items.struct),
        doc,
        path=path,
        to_row=lambda record: [items.row(item) for item in get(record)],
        from_row=lambda row: tuple(map(read, row[name] or ())),
        nullable=nullable,
        items=items,
    )


def _tuple_getter(name: str) -> Callable[[Row], object]:
    def get(row: Row) -> object:
        value = row[name]
        return None if value is None else tuple(value)

    return get


def _nothing(kind: pa.DataType) -> object:
    if pa.types.is_list(kind) or pa.types.is_map(kind):
        return []
    return "" if pa.types.is_string(kind) else 0
