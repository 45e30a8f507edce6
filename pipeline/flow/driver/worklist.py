"""Which files a run has to index. No Ray here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.flow.driver.context import RunContext
from pipeline.records import Source
from pipeline.sources import is_being_written


@dataclass(frozen=True, slots=True, kw_only=True)
class Worklist:
    """The files of a run, as the index was when the run began."""

    due: tuple[Source, ...]
    """The files to index, in their order."""
    listed: Mapping[str, Source]
    """By URI, every file that could be indexed now, whether it is due or not."""
    last_position: Mapping[str, int]
    """By URI, the last position in ``due``. Built once for all batches."""
    reindexed: set[str]
    """URIs of finished files that own other time than when they were indexed; batches add some."""


def worklist_of(sources: Sequence[Source], context: RunContext) -> Worklist:
    """Compare the sources with the index; the report counts those that are skipped or wait.

    A file waits for a later run while it is still being written.
    """
    report, settle_s = context.report, context.config.sources.settle_s
    unfinished = context.indexed.unfinished(sources)
    due = [
        source
        for source in unfinished
        if not is_being_written(source, settle_s, context.started_at)
    ]
    waiting = {source.uri for source in unfinished} - {source.uri for source in due}
    listed = {source.uri: source for source in sources if source.uri not in waiting}
    reindexed = context.indexed.wrong_yields([source.uri for source in due], listed.keys())
    if reindexed:
        due_uris = reindexed | {source.uri for source in due}
        due = [source for source in sources if source.uri in due_uris]
    report.waiting = [source.uri for source in unfinished if source.uri in waiting]
    report.videos_skipped += len(sources) - len(due) - len(waiting)
    context.on_progress(report)
    return Worklist(
        due=tuple(due),
        listed=listed,
        last_position={source.uri: position for position, source in enumerate(due)},
        reindexed=reindexed,
    )
