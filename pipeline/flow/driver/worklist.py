"""Which files a run has to index. No Ray here."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.flow.driver.context import RunContext
from pipeline.flow.task.deck import looks_for_decks, with_other_decks
from pipeline.records import Source
from pipeline.sources import SourceTable, is_being_written


@dataclass(frozen=True, slots=True, kw_only=True)
class Worklist:
    """The files of a run, as the index was when the run began."""

    due: SourceTable
    """The files to index, in their order."""
    listed: Mapping[str, Source]
    """By URI, every file that could be indexed now, whether it is due or not."""
    last_position: Mapping[str, int]
    """By URI, the last position in ``due``. Built once for all batches."""
    reindexed: set[str]
    """URIs of finished files that own other time, or have another deck, than when they were
    indexed; batches add some."""
    unsettled: frozenset[str]
    """URIs of due files that are still being written: a later run analyses their ends."""
    waiting: set[str] = field(default_factory=set)
    """URIs of those about which this run says nothing at all; batches add some."""

    def is_listed(self, uri: str) -> bool:
        """Whether this run may index the file."""
        return uri in self.listed and uri not in self.waiting

    def is_to_come(self, uri: str, position: int) -> bool:
        """Whether the batch at ``position`` or a later one indexes the file."""
        return self.last_position.get(uri, -1) >= position and uri not in self.waiting


def worklist_of(sources: SourceTable, context: RunContext) -> Worklist:
    """Compare the sources with the index; the report counts those that are skipped or wait."""
    report, settle_s = context.report, context.config.sources.settle_s
    unfinished = context.indexed.unfinished(sources)
    unsettled = [
        source.uri
        for source in unfinished
        if is_being_written(source, settle_s, context.started_at)
    ]
    due, listed = unfinished, sources.by_uri()
    reindexed = context.indexed.wrong_yields(due.without(unsettled)[0], listed)
    if looks_for_decks(context.config):
        reindexed |= with_other_decks(
            context.indexed.deck_etags(sources), context.config.sources.access
        )
    if reindexed:
        due = sources.named(reindexed | {*due.uris.to_pylist()})
    report.waiting = unsettled
    report.videos_skipped += len(sources) - len(due)
    context.on_progress(report)
    return Worklist(
        due=due,
        listed=listed,
        last_position={uri: position for position, uri in enumerate(due.uris.to_pylist())},
        reindexed=reindexed,
        unsettled=frozenset(unsettled),
    )
