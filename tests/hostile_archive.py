"""An index of one camera whose texts are hostile in each format that a user may read them in."""

import random
import re

import pytest

from pipeline.cli.app import main
from tests.alert_archive import Archive
from tests.hostile_rows import COMMANDS, MARKUP, TEXT
from tests.index_rows import at, event, rows, segment, utterance, video

PIECES = (
    *("=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\uff1d1", '";\n=2', "'", '"', ",", ";"),
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</style>", "]]>", "{{7*7}}"),
    *("00:00:00.000 --> 00:01:00.000", "-->", "\n\n1\n", "<v Ada>", "{\\an8}", "NOTE", "STYLE"),
    *("[a](javascript:alert(1))", "![a](http://127.0.0.1:9/x)", "```", "# a", "| a |", "---"),
    *("<!channel>", "@everyone", "HTTPS://127.0.0.1:9/", "ftp://a.test/", "www.a.test", "a\\"),
    *("\\u0000", "\\n", "\x1b]0;a\x07", "\x9b2J", "\u202egpj", "\u2067", "\u2028", "\x00", "\r"),
    *("\U000e0061\U000e0062", "\ufffe", "\ud7ff", "../../a", "CON", "%00", "$(id)", "`id`", " "),
)
UNSAFE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
)
LONG = ("=<b>\u202e " * 2**18)[: 2**20]


def hostile_texts(num):
    """All pieces, and pieces in a row, by chance; the same in each run."""
    chance = random.Random(1)
    mixed = ("".join(chance.choices(PIECES, k=chance.randint(2, 5))) for _ in range(num))
    return [*PIECES, COMMANDS, MARKUP, TEXT, *mixed, LONG]


TEXTS = hostile_texts(20)
NOTED = "We decided to pay 40 euros?"
"""What minutes take down."""
TIMED = {"clock_start_ns": 0, "origin_pts": 0, "time_base": "1/1000", "num_frames": 100}
SIZE = {"width": 64, "height": 48}


def boxed(second):
    """Two boxes of an event that begins at this second."""
    sides = {"x0": 1.0, "y0": 1.0, "x1": 9.0, "y1": 9.0}
    return [{"at": at(second + more)} | sides for more in (0, 1)]


def hostile_archive(folder):
    """One hostile camera with an event, a caption and an utterance of each hostile text."""
    archive = Archive(folder)
    about = {"camera": TEXT, "media_start": 1.0, "media_end": 2.0}
    every = list(enumerate(TEXTS))
    archive.writer.finish_videos(
        rows("videos", video("v1", camera=TEXT, error=LONG, warnings=TEXTS, **TIMED, **SIZE)),
        rows(
            "events",
            *(
                event(
                    f"e{n}",
                    at(n),
                    at(n + 1),
                    label=text,
                    text=text,
                    uri="v1.mp4",
                    boxes=boxed(n),
                    **about,
                )
                for n, text in every
            ),
            event(f"e{TEXT}", at(500), at(501), label="person", uri="v1.mp4", **about),
        ),
        rows(
            "segments", *(segment(f"g{n}", text=text, uri="v1.mp4", **about) for n, text in every)
        ),
        utterances=rows(
            "utterances",
            *(
                utterance(
                    f"u{n}", n, n + 1, text=f"{text} {NOTED}", speaker=text, uri="v1.mp4", **about
                )
                for n, text in every[:-1]
            ),
        ),
    )
    return archive


def page_of(folder, *command):
    path = folder / f"page.{command[-1]}"
    with pytest.raises(SystemExit) as ended:
        main([*(str(one).replace("OUT", str(path)) for one in command[:-1])])
    assert ended.value.code == 0
    return path
