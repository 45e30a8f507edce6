"""Any order of finishing, killing, growing and asking anew, against a model of all events.

    make state-test EXAMPLES=500

The model holds which file shows what under which fingerprint, and joins all of it from nothing. The
index must hold those rows after every step, whatever was written in whichever order before.
"""

import contextlib
import tempfile
from functools import partial
from unittest.mock import patch

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import pipeline.index as pi
from pipeline.flow.driver.finish import finish_videos, join_events
from pipeline.index import commit
from pipeline.tables.schema import EVENTS
from pipeline.tables.windows import windows_table
from tests.state import examples
from tests.unit.test_finish import CONFIG, answered, provenance
from tests.unit.test_rejoin import REACH
from tests.unit.test_stitch import make_video

# Each file lasts a minute; events end and begin on its borders, inside, or fill it. Every file may
# give every answer, so a file can show something else when it has grown.
ANSWERS = ((), ((0, 60),), ((0, 5), (55, 60)), ((10, 20),), ((58, 60),), ((0, 1), (20, 60)))
FINGERPRINTS = ("f1", "f2")

files = st.sampled_from([("gate", 0), ("gate", 1), ("gate", 2), ("yard", 1)])
contents = st.integers(0, 1)
"""A file that has grown is another content of the same name."""


class KilledError(Exception):
    """The process dies here."""


def whole_video(file, content, answer):
    camera, number = file
    video = make_video(f"{camera}{number}-{content}", start_s=60 * number, camera=camera)
    whole = answered(video, *ANSWERS[answer])
    uri = f"{camera}{number}.mp4"
    return type(whole)(
        video=type(video)(**{f: getattr(video, f) for f in video.__slots__} | {"uri": uri}),
        num_shards=whole.num_shards,
        results=whole.results,
    )


class Events(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.writer = pi.Writer(self.folder.name)
        self.shown = {}  # (uri, video_id, fingerprint) -> the events of that file alone

    def teardown(self):
        self.folder.cleanup()

    @rule(
        file=files,
        content=contents,
        answer=st.integers(0, len(ANSWERS) - 1),
        fingerprint=st.sampled_from(FINGERPRINTS),
        keep=st.booleans(),
        steps=st.one_of(st.none(), st.integers(0, 3)),
    )
    def finish(self, file, content, answer, fingerprint, keep, steps):
        """A video becomes whole; the driver is killed after so many steps, or not at all."""
        whole = whole_video(file, content, answer)
        made_by = provenance(fingerprint)
        self.writer.write_windows(windows_table([(whole.video, r) for r in whole.results], made_by))
        made = finish_videos([whole], config=CONFIG, provenance=made_by)
        join = partial(
            join_events, video_events=made.events, config=CONFIG, provenance=made_by, keep=keep
        )
        left = [steps]

        def killable(step, *args, **kwargs):
            if left[0] == 0:
                raise KilledError
            left[0] = None if left[0] is None else left[0] - 1
            step(*args, **kwargs)

        with (
            patch.object(commit, "replace", partial(killable, commit.replace)),
            patch.object(commit, "rejoin", partial(killable, commit.rejoin)),
            contextlib.suppress(KilledError),
        ):
            self.writer.finish_videos(
                made.videos, segments=made.segments, join=join, reach=REACH, keep=keep
            )
        if steps == 0:
            return
        video = whole.video
        self.shown = {
            (uri, video_id, by): events
            for (uri, video_id, by), events in self.shown.items()
            if uri != video.uri  # another file
            or (video_id == video.video_id and keep and by != fingerprint)
        }
        self.shown[video.uri, video.video_id, fingerprint] = made.events

    @invariant()
    def the_rows_are_those_that_follow_from_what_each_file_shows(self):
        found = self.writer.index.select_all("events", pi.filters.Where())
        expected = []
        for fingerprint in FINGERPRINTS:
            shown = [
                event
                for (_, _, by), events in self.shown.items()
                if by == fingerprint
                for event in events
            ]
            done = {event.parts[0].video_id for event in shown} or {""}
            expected += join_events(
                EVENTS.empty_table(), done, set(), video_events=shown, config=CONFIG,
                provenance=provenance(fingerprint),
            ).to_pylist()  # fmt: skip
        assert sorted(map(str, found.to_pylist())) == sorted(map(str, expected))


TestEvents = Events.TestCase
TestEvents.pytestmark = [pytest.mark.timeout(1800)]  # a busy machine must not fail it
TestEvents.settings = examples(10, steps=15)
