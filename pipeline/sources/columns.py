"""The files of a listing as columns: 0.2 kB each, where an object and its texts take 1 kB.

They are sequences of records all the same; a record is made when it is asked for.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from operator import attrgetter
from typing import Any, ClassVar, Generic, Self, TypeVar, overload

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.records import Source
from pipeline.sources.found_files import Listed, PassedOver
from pipeline.sources.twins import without_twins

T = TypeVar("T")

_ROWS = 8192
"""How many records are made or taken apart at once."""
_BATCHES = 16
"""So many are joined: what was made by appending keeps up to twice the memory that it needs."""
# Text that grows beyond 2 GB, and text of which few are different, or very few.
_TEXT, _FEW = pa.large_string(), pa.dictionary(pa.int32(), pa.string())
_KIND = pa.dictionary(pa.int16(), pa.string())
_OF_SOURCE = pa.schema(
    {
        "uri": _TEXT, "num_bytes": pa.int64(), "etag": _TEXT, "camera": _FEW,
        "start_ns": pa.int64(), "clock": _KIND, "mtime_ns": pa.int64(),
        "warnings": pa.list_(pa.string()), "problem": _FEW, "unreachable": _FEW,
    }
)  # fmt: skip
_OF_LISTED = pa.schema(
    {
        "camera_by": _KIND, "zone": _KIND, "rule": _KIND, "template": _KIND, "end_ns": pa.int64(),
        "number": _FEW, "is_low_resolution": pa.bool_(),
    }
)  # fmt: skip


class _Columns(Sequence[T], Generic[T]):
    """Records of one kind; ``table`` has a column for each of their fields."""

    schema: ClassVar[pa.Schema]
    paths: ClassVar[Sequence[str]]
    """Where the value of each column is in a record."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    @classmethod
    def of(cls, records: Iterable[T]) -> Self:
        """The columns of some records, which may be made one by one."""
        if isinstance(records, cls):
            return records
        waiting, values, batches = iter(records), attrgetter(*cls.paths), []
        wholes: list[pa.Table] = []
        while part := list(islice(waiting, _ROWS)):
            columns = zip(*map(values, part), strict=True)
            arrays = [
                pa.array(column, kind)
                for column, kind in zip(columns, cls.schema.types, strict=True)
            ]
            batches.append(pa.record_batch(arrays, cls.schema))
            if len(batches) == _BATCHES:
                wholes.append(pa.Table.from_batches(batches).combine_chunks())
                batches = []
        return cls(pa.concat_tables([*wholes, pa.Table.from_batches(batches, cls.schema)]))

    @staticmethod
    def _record(values: dict[str, Any]) -> T:
        raise NotImplementedError

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[T]:
        for batch in self.table.to_batches(max_chunksize=_ROWS):
            for values in zip(*map(_python, batch.columns), strict=True):
                yield self._record(dict(zip(self.schema.names, values, strict=True)))

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> Self: ...
    def __getitem__(self, at: int | slice) -> T | Self:
        if isinstance(at, slice):
            return self.take(range(*at.indices(len(self))))
        return next(iter(self.take([range(len(self))[at]])))

    @property
    def uris(self) -> pa.ChunkedArray:
        """Large strings, in the order of the records."""
        return self.table["uri"]

    def take(self, positions: Sequence[int] | pa.Array) -> Self:
        """The records at these positions, in this order."""
        return type(self)(self.table.take(pa.array(positions, pa.int64())))

    def sort(self) -> None:
        """Put them in order by camera, start and URI; a file without a start comes first.

        In place and column by column, so that they are never in memory twice.
        """
        keys = {
            "camera": self.table["camera"].cast(pa.string()),
            "start": self.table["start_ns"].fill_null(0),
            "uri": self.uris,
        }
        by = [(name, "ascending") for name in keys]
        order = pc.sort_indices(pa.table(keys), sort_keys=by)
        del keys
        if pc.all(pc.less(order[:-1], order[1:])).as_py():
            return  # as most stores list them
        for at, field in enumerate(self.schema):
            # In two steps: to take from many pieces would join them, and keep them as well.
            whole = self.table.column(at).combine_chunks()
            self.table = self.table.set_column(at, field, whole)
            self.table = self.table.set_column(at, field, whole.take(order))
            del whole

    def filter(self, mask: pa.ChunkedArray | pc.Expression) -> Self:
        """The records for which it is true."""
        return type(self)(self.table.filter(mask))

    def without(self, uris: Iterable[str]) -> tuple[Self, set[str]]:
        """The other records, and those of the URIs that were among these."""
        named = pc.is_in(self.uris, value_set=pa.array([*uris], _TEXT))
        if not pc.any(named).as_py():
            return self, set()
        return self.filter(pc.invert(named)), {*self.uris.filter(named).to_pylist()}


class SourceTable(_Columns[Source]):
    """What a run indexes."""

    schema, paths = _OF_SOURCE, tuple(_OF_SOURCE.names)

    @staticmethod
    def _record(values: dict[str, Any]) -> Source:
        return Source(**values | {"warnings": tuple(values["warnings"])})

    @property
    def cameras(self) -> set[str]:
        """Of all of them."""
        return {*self.table["camera"].unique().to_pylist()}

    def of_cameras(self, cameras: Iterable[str]) -> Self:
        """Those of these cameras."""
        return self.filter(pc.field("camera").isin(pa.array([*cameras], pa.string())))

    def named(self, uris: Iterable[str]) -> Self:
        """Those with these URIs."""
        return self.filter(pc.is_in(self.uris, value_set=pa.array([*uris], _TEXT)))

    def by_uri(self) -> Mapping[str, Source]:
        """Finds the last of a URI."""
        return _ByUri(self)


class _ByUri(Mapping[str, Source]):
    """Keeps the order of the URIs, and nothing else of them."""

    def __init__(self, sources: SourceTable) -> None:
        self._sources = sources

    @cached_property
    def _order(self) -> pa.Array:
        return pc.sort_indices(self._sources.uris)

    def _uri(self, place: pa.Scalar) -> str:
        return str(self._sources.uris[place.as_py()].as_py())

    def __getitem__(self, uri: str) -> Source:
        at = bisect_right(self._order, uri, key=self._uri) - 1
        if at < 0 or self._uri(self._order[at]) != uri:
            raise KeyError(uri)
        place: int = self._order[at].as_py()
        return self._sources[place]

    def __len__(self) -> int:
        return int(pc.count_distinct(self._sources.uris).as_py())

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(self._sources.uris.to_pylist()))


class ListedTable(_Columns[Listed]):
    """The videos of a listing."""

    schema = pa.unify_schemas([_OF_SOURCE, _OF_LISTED])
    paths = (*(f"source.{name}" for name in _OF_SOURCE.names), *_OF_LISTED.names)

    @staticmethod
    def _record(values: dict[str, Any]) -> Listed:
        of_listed = {name: values.pop(name) for name in _OF_LISTED.names}
        return Listed(source=SourceTable._record(values), **of_listed)  # noqa: SLF001

    def without_twins(self) -> tuple[Self, list[PassedOver]]:
        """As ``twins.without_twins``; only files of cameras that write twins become objects."""
        rules = self.table["rule"].filter(self.table["is_low_resolution"]).unique()
        if not len(rules):
            return self, []
        like = self.filter(pc.is_in(self.table["rule"], value_set=rules.dictionary))
        _, twins = without_twins(like)
        return self.without(twin.uri for twin in twins)[0], twins

    @property
    def sources(self) -> SourceTable:
        """Without what the listing alone knows of them."""
        return SourceTable(self.table.select(_OF_SOURCE.names))

    def num_with(self, field: str, value: str) -> int:
        """How many of them have this value."""
        return int(pc.sum(pc.equal(self.table[field], value)).as_py() or 0)

    def by_template(self) -> list[dict[str, Any]]:
        """How paths were read: rule, template, num (of files), uri (an example)."""
        nums, examples = Counter[tuple[str, str]](), dict[tuple[str, str], str]()
        for batch in self.table.to_batches(max_chunksize=_ROWS):
            rules, templates = _python(batch["rule"]), _python(batch["template"])
            last = {key: row for row, key in enumerate(zip(rules, templates, strict=True))}
            nums.update(zip(rules, templates, strict=True))
            examples |= {key: batch["uri"][row].as_py() for key, row in last.items()}
        return [
            {"rule": key[0], "template": key[1], "num": num, "uri": examples[key]}
            for key, num in nums.most_common()
        ]

    def each_once(self) -> Self:
        """The first of each URI."""
        places = pa.table({"uri": self.uris, "place": pa.array(range(len(self)), pa.int64())})
        first = places.group_by("uri").aggregate([("place", "min")])["place_min"]
        return self.take(first.combine_chunks().sort())


def _python(column: pa.Array) -> list[Any]:
    """The values of a column; equal ones are one object where few are different."""
    if not pa.types.is_dictionary(column.type):
        return list(column.to_pylist())
    values = column.dictionary.to_pylist()
    return [None if place is None else values[place] for place in column.indices.to_pylist()]
