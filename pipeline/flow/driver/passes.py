"""A run passes over its files twice where it also listens. No Ray here."""

from collections.abc import Iterator, Sequence

from pipeline.config import Config
from pipeline.records import Source
from pipeline.sources import is_sound_name


def passes_of(config: Config, sources: Sequence[Source]) -> Iterator[tuple[Config, list[Source]]]:
    """The passes of a run, each with its config and sources: one looks, one listens.

    Each has a task and done markers of its own, so that a change of one does not repeat the other.
    """
    if not config.hears:
        listens = config.listening is not None
        seen = [one for one in sources if not (listens and is_sound_name(one.uri))]
        if seen or not listens:
            yield config, seen
    if config.listening is not None:
        yield config.listening, list(sources)
