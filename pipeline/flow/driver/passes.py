"""A run passes over its files twice where it also listens. No Ray here."""

from collections.abc import Iterator, Sequence

from pipeline.config import Config
from pipeline.records import Source
from pipeline.sources import is_sound_name


def passes_of(
    config: Config, sources: Sequence[Source]
) -> Iterator[tuple[Config, Sequence[Source]]]:
    """The passes of a run, each with its config and sources: one looks, one listens.

    Each has a task and done markers of its own, so that a change of one does not repeat the other.
    """
    if not config.hears:
        if config.listening is None:
            yield config, sources
        elif seen := [one for one in sources if not is_sound_name(one.uri)]:
            yield config, seen
    if config.listening is not None:
        yield config.listening, sources
