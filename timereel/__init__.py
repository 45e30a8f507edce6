"""Open a time index from Python, and ask it.

    import timereel

    index = timereel.open("/data/index")
    index.events("2026-03-14T09:00Z", "2026-03-14T10:00Z", camera="gate*").to_pandas()

What is here may be relied on; the package ``pipeline`` beside it is the implementation.

A process has only one package of the name ``pipeline``, and Python looks for it in the working
directory or the folder of the script first, where somebody else's may lie. So timereel imports its
own from where timereel itself is installed. Where another one was imported before, that cannot be
done any more, and ``import timereel`` says so.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

_INSTALLED = Path(__file__).parents[1]

sys.path.insert(0, str(_INSTALLED))
try:
    import pipeline
finally:
    sys.path.remove(str(_INSTALLED))
if not Path(getattr(pipeline, "__file__", None) or "").is_relative_to(_INSTALLED):
    raise ImportError(
        f"timereel needs a package of its own named pipeline, but {pipeline} was imported before; "
        "import timereel first, or in a process that does not use the other one"
    )

from pipeline.errors import TimereelError  # noqa: E402 - now it is the right package

if TYPE_CHECKING:
    from typing import Unpack

    import pyarrow as pa

    from pipeline.index import Index
    from pipeline.index.filters import When
    from pipeline.index.search import SearchOptions

__version__ = "0.2.0"

__all__ = ["TimereelError", "__version__", "open", "search", "with_pages"]


def open(uri: str | Path, storage_options: Mapping[str, str] | None = None) -> "Index":  # noqa: A001 - timereel.open() reads best
    """The index in a folder: local, ``s3://``, ``gs://`` or ``az://``.

    Storage options are those of delta-rs (``AWS_ENDPOINT_URL`` ...); what is not given comes from
    the usual environment.

    Raises:
        TimereelError: there is no index, it is damaged, or it was written by a newer timereel.
    """
    # Here, as every Ray worker imports timereel, and few ask an index.
    from pipeline.index import open_index  # noqa: PLC0415

    return open_index(uri, storage_options)


def search(
    index: "Index",
    text: str,
    start: "When" = None,
    end: "When" = None,
    *,
    embedding: Mapping[str, object] | None = None,
    **wanted: "Unpack[SearchOptions]",
) -> "pa.Table":
    """What was seen, said or shown in ``[start, end)``: rows with all words of a text, best first.

    With ``embedding``, a config's section of that name such as ``{"kind": "local"}``, rows that are
    nearest in meaning; ``timereel embed`` has made their vectors before.

    Raises:
        TimereelError: there are no words, no vectors, or an extra is not installed.
    """
    from pipeline.config import load_config  # noqa: PLC0415 - as above
    from pipeline.engine.embed import open_embedder  # noqa: PLC0415
    from pipeline.index.search import by_meaning, by_words  # noqa: PLC0415

    if embedding is None:
        return by_words(index, text, start, end, **wanted)
    settings = load_config(None, (f"embedding={json.dumps(dict(embedding))}",)).embedding
    assert settings  # noqa: S101 - it was just given
    embedder = open_embedder(settings)
    return by_meaning(index, embedder.question(text), embedder.name, start, end, **wanted)


def with_pages(index: "Index", utterances: "pa.Table") -> "pa.Table":
    """What ``index.utterances()`` found, with the pages of a talk or meeting as more columns.

    ``page`` is on the screen meanwhile, as ``slides`` counts, and ``deck_page`` is its number in
    the deck. ``topic_page`` and ``topic_deck_page`` are the page that is spoken of where that is
    another one, with ``topic_score`` (0 to 1) and ``topic_reason``. Null is what nobody knows.

    Raises:
        TimereelError: they are not whole rows of ``utterances``.
    """
    from pipeline.meetings.pages import with_pages  # noqa: PLC0415 - as above

    return with_pages(index, utterances)
