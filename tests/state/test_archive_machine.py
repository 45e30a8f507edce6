"""Any order of what happens to an archive and its index, against a model of what must be true.

    make state-test EXAMPLES=500

The recordings are scripts (``scripted.py``), so that an example takes seconds; the truth
(``truth.py``) is worked out from nothing after every run that was not disturbed.
"""

import contextlib
import os
import tempfile
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from unittest.mock import patch

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import pipeline.index as pi
from pipeline.errors import IndexFullError, LeaseLostError
from pipeline.index.erase import Scope, erase, erase_older
from pipeline.index.filters import Where
from pipeline.index.maintain import compact, vacuum
from pipeline.timebase import NS_PER_S, ns_to_datetime
from tests.state import examples
from tests.state.coverage import covered_by, erased_of, to_us
from tests.state.ids import check_ids
from tests.state.scripted import (
    T0_NS,
    Archive,
    KilledError,
    at_write,
    config_of,
    disk_is_full,
    grown,
    kill,
)
from tests.state.strategies import KEEP, NAMES, ODD_NS, SETTINGS, SHOWING, cameras, recordings
from tests.state.truth import ROUNDING_US, Truth, without

LONGEST_FRAME_US = 300_000


class ArchiveMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.uri = f"{self.folder.name}/index"
        self.archive = Archive()
        self.truth = Truth(recordings=self.archive.recordings)
        self.setting = 0
        self.is_settled = False
        """Whether the last run was undisturbed, and nothing has come since."""
        self.known = {}
        """The recordings when that was so: the index knows them, under whichever setting."""
        self.is_kept = False
        """Whether files may have answers of both settings. Where they join and their newest answers
        are of different settings, both are told."""
        self.left_out = (None, {})
        """What decides what is erased; and by camera, when first that was so, the time that was."""

    def teardown(self):
        self.folder.cleanup()

    @property
    def is_known(self):
        return self.known == self.archive.recordings

    @property
    def config(self):
        return config_of(self.setting, self.truth.clock)

    def run(self, **choices):
        self.is_kept = self.is_kept or bool(choices.get("keep"))
        self.truth.run_begins(self.config)
        return self.archive.index(self.uri, self.config, **choices)

    @initialize(first=recordings)
    def begin(self, first):
        self.archive.recordings[first.uri] = first

    @rule(recording=recordings)
    def add_file(self, recording):
        """Also one that overlaps, lies inside, or equals another."""
        if recording.uri not in self.archive.recordings:
            self.archive.recordings[recording.uri] = recording
            self.is_settled = False

    @rule(data=st.data(), num_frames=st.integers(1, 12))
    def follow(self, data, num_frames):
        """A file begins where another of its camera ends, to the nanosecond."""
        before = data.draw(st.sampled_from(sorted(self.archive.recordings.values(), key=str)))
        free = [n for n in NAMES if f"{before.camera}/{n}.mp4" not in self.archive.recordings]
        if free:
            footage = before.video(config_of(0)).footage[-1]
            uri = f"{before.camera}/{free[0]}.mp4"
            self.archive.recordings[uri] = replace(
                before, uri=uri, start_ns=before.start_ns + footage.end_ns, num_frames=num_frames
            )
            self.is_settled = False

    @rule(data=st.data(), num_frames=st.integers(1, 9))
    def grow(self, data, num_frames):
        uri = data.draw(st.sampled_from(sorted(self.archive.recordings)))
        self.archive.recordings[uri] = grown(self.archive.recordings[uri], num_frames)
        self.is_settled = False

    @rule(data=st.data(), showing=SHOWING)
    def change_content(self, data, showing):
        """The file is recorded anew: other pictures, the same name and time."""
        uri = data.draw(st.sampled_from(sorted(self.archive.recordings)))
        before = self.archive.recordings[uri]
        self.archive.recordings[uri] = replace(before, content=before.content + 1, showing=showing)
        self.is_settled = False

    @rule(
        offset_s=st.sampled_from([0.0, 0.25, -1.5, 7.000_001]),
        rate_ppm=st.sampled_from([0.0, 40.0, -3000.0, 100_000.0]),
    )
    @precondition(lambda self: self.is_settled)
    def correct_clock(self, offset_s, rate_ppm):
        self.truth.clock = {"offset_s": offset_s, "rate_ppm": rate_ppm}
        self.run()

    @rule(
        data=st.data(),
        half_seconds=st.integers(-3, 12),
        odd_ns=ODD_NS,
        number=st.integers(0, 9),
    )
    @precondition(lambda self: self.is_settled)
    def correct_start(self, data, half_seconds, odd_ns, number):
        """A sidecar or a name says that one file, unchanged, began at another time.

        (A file that has another time and other content is another recording of the same name.)
        """
        uri = data.draw(st.sampled_from(sorted(self.archive.recordings)))
        before = self.archive.recordings[uri]
        start_ns = before.start_ns + half_seconds * NS_PER_S // 2 + odd_ns
        self.truth.start_was_corrected(before, replace(before, start_ns=start_ns), self.config)
        with contextlib.suppress(KilledError), at_write(number, kill, before=True):
            self.run()
        self.run()

    @rule(setting=SETTINGS, keep=KEEP)
    def index(self, setting, *, keep=False):
        self.setting = setting
        self.run(keep=keep)
        self.is_settled = True

    @rule(data=st.data(), setting=SETTINGS, keep=KEEP)
    def index_one_file(self, data, setting, *, keep=False):
        """Alone, and maybe under another setting than those beside it."""
        self.setting = setting
        self.run(only=data.draw(st.sampled_from(sorted(self.archive.recordings))), keep=keep)
        self.is_settled = False

    @rule(setting=SETTINGS, number=st.integers(1, 12), before=st.booleans(), keep=KEEP)
    def index_and_be_killed(self, setting, number, before, *, keep=False):
        self.setting = setting
        self.is_settled = False
        with contextlib.suppress(KilledError), at_write(number, kill, before=before):
            self.run(keep=keep)
            self.is_settled = True

    @rule(setting=SETTINGS, number=st.integers(1, 12), before=st.booleans(), keep=KEEP)
    def index_and_be_killed_and_go_on(self, setting, number, before, *, keep=False):
        """A committed shard is not asked again, unless a file of a later batch cuts it anew."""
        self.archive.asked.clear()
        self.index_and_be_killed(setting, number, before, keep=keep)
        asked, committed = self.archive.asked.copy(), self._committed_shards()
        self.archive.asked.clear()
        self.index(setting, keep=keep)
        for shard_id in committed.keys() & self._committed_shards().keys():
            assert not committed[shard_id] & asked & self.archive.asked, "asked twice"

    def _committed_shards(self):
        """By shard id, the ids of its windows under the settings of the last run."""
        shards = {}
        if os.path.exists(f"{self.uri}/windows"):
            for row in pi.open(self.uri).select_all("windows", Where()).to_pylist():
                if row["fingerprint"] == self.config.fingerprint:
                    shards.setdefault(row["shard_id"], set()).add(row["window_id"])
        return shards

    @rule()
    @precondition(lambda self: self.is_settled and not self.truth.unanswered)
    def index_what_is_indexed(self):
        """No window is asked. (Files without any answer are asked for in each run.)"""
        self.archive.asked.clear()
        self.run()
        assert not self.archive.asked, "asked twice"

    @rule(number=st.integers(1, 8), before=st.booleans())
    def index_while_another_does(self, number, before):
        """A second job runs from its beginning to its end at some commit of the first.

        It takes the first for lost, as after a pause of the machine: the worst that can happen.
        """
        with (
            patch("pipeline.index.runs.LOST_AFTER", timedelta(0)),
            patch("pipeline.index.lease.LOST_AFTER", timedelta(0)),
            contextlib.suppress(LeaseLostError),
            at_write(number, self.run, before=before),
        ):
            self.run()
        self.is_settled = True

    @rule(number=st.integers(1, 12))
    def index_until_the_disk_is_full(self, number):
        self.is_settled = False
        with contextlib.suppress(IndexFullError), at_write(number, disk_is_full, before=True):
            self.run()
            self.is_settled = True

    @rule(data=st.data(), num_frames=st.integers(0, 12))
    def index_while_the_store_fails(self, data, num_frames):
        """A file cannot be read from some frame on; the next run is to find it open."""
        uri = data.draw(st.sampled_from(sorted(self.archive.recordings)))
        self.archive.num_readable[uri] = num_frames
        report = self.run()
        self.archive.num_readable.clear()
        assert not report.failures
        self.is_settled = False

    @rule(data=st.data(), num_frames=st.integers(0, 9))
    def index_while_a_recorder_writes(self, data, num_frames):
        """A file has grown and is not closed: its end waits, or all of it; that is no failure."""
        uri = data.draw(st.sampled_from(sorted(self.archive.recordings)))
        if num_frames:
            self.archive.recordings[uri] = grown(self.archive.recordings[uri], num_frames)
        self.archive.written.add(uri)
        report = self.run()
        self.archive.written.clear()
        assert not report.outstanding
        self.is_settled = False

    @rule(data=st.data(), setting=SETTINGS, one_of=st.integers(1, 2))
    def index_without_answers(self, data, setting, one_of):
        """The model fails all or half of the windows of a file."""
        self.setting = setting
        uri = data.draw(st.sampled_from(sorted(self.archive.recordings)))
        self.archive.unanswered[uri] = one_of
        self.truth.unanswered.add(uri)
        self.run()
        self.archive.unanswered.clear()
        self.is_settled = True

    @rule()
    def index_what_failed(self):
        self.run(retry_failed=True)
        self.truth.unanswered.clear()
        self.is_settled = True

    @rule(data=st.data(), camera=cameras, half_seconds=st.integers(1, 6), number=st.integers(0, 9))
    @precondition(lambda self: self.is_known)
    def erase_time(self, data, camera, half_seconds, number):
        """A range of a camera; killed at some commit, and then asked again."""
        start_us = T0_NS // 1000 + data.draw(st.integers(-2, 20)) * 500_000
        end_us = start_us + half_seconds * 500_000
        self._erase(
            Scope.parse(camera=camera, start=_at(start_us), end=_at(end_us)),
            self.truth.erased(camera, (start_us, end_us), self.config),
            number,
        )

    @rule(data=st.data(), number=st.integers(0, 9))
    @precondition(lambda self: self.is_known)
    def erase_file(self, data, number):
        """A file as a whole; wherever its content turns up, it is not looked at."""
        one = data.draw(st.sampled_from(sorted(self.archive.recordings.values(), key=str)))
        order = self.truth.erased_file(one, self.config)
        self._erase(Scope.parse(video=one.uri), order, number)

    @rule(camera=cameras, half_seconds=st.integers(0, 20))
    @precondition(lambda self: self.is_settled)
    def expire(self, camera, half_seconds):
        """Retention: what is older than some days goes, of one camera."""
        end_us = T0_NS // 1000 + half_seconds * 500_000
        now = _at(end_us) + timedelta(days=1)
        order = self.truth.erased(camera, (0, end_us), self.config)
        erase_older(pi.Writer(self.uri).store, {camera: 1.0}.get, now=now)
        self.truth.orders.append(order)

    def _erase(self, scope, order, number):
        store = pi.Writer(self.uri).store
        with contextlib.suppress(KilledError), at_write(number, kill, before=True):
            erase(store, scope)
        erase(store, scope)
        self.truth.orders.append(order)

    @rule()
    def index_in_spite_of_orders(self):
        self.run(include_erased=True)
        self.truth.lifted += self.truth.orders
        self.truth.orders.clear()
        self.truth.left_out.clear()
        self.is_settled = True

    @rule()
    def maintain(self):
        if os.path.exists(self.uri):
            store = pi.Writer(self.uri).store
            compact(store, min_age=timedelta(0))
            vacuum(store, retention=timedelta(0))

    @invariant()
    def what_the_index_says_is_true(self):
        if not self.is_settled:
            return
        self.known = dict(self.archive.recordings)
        index = pi.open(self.uri)
        covered = {camera: covered_by(index, camera) for camera in self.truth.cameras()}
        for camera, said in covered.items():
            self._check_coverage(camera, said)
            self._check_events(index, camera)
        self._check_that_erased_time_does_not_grow(
            {camera: erased_of(said) for camera, said in covered.items()}
        )
        check_ids(index)

    def _check_that_erased_time_does_not_grow(self, erased):
        """No runs erase more than was ordered, however often they cut the files anew.

        Once a frame more: one that reaches into the erased time, and that another file showed.
        """
        truth = self.truth
        reasons = dict(truth.recordings), dict(truth.clock), len(truth.orders), len(truth.lifted)
        if reasons != self.left_out[0]:
            self.left_out = (reasons, erased)
        for camera, spans in self.left_out[1].items():
            for low, high in (grew for span in erased[camera] for grew in without(span, spans)):
                assert high - low < LONGEST_FRAME_US, (camera, _at(low), _at(high), "not ordered")

    def erased(self, camera):
        """What coverage calls erased, in microseconds."""
        return erased_of(covered_by(pi.open(self.uri), camera))

    def _check_coverage(self, camera, said):
        shots = self.truth.shots(camera, self.config)
        borders = {at for s in shots for at in s.span} | {at for one in said for at in one[:2]}
        borders |= {at for span in self.truth.footage(camera, self.config) for at in span}
        borders |= {at for o in self.truth.orders + self.truth.lifted for at in o.asked}
        borders |= {at for _, span in self.truth.remembered for at in span}
        borders |= {at for o in self.truth.orders for _, known in o.known for at in known}
        ordered = sorted(borders)
        for low, high in pairwise(ordered):
            if high - low <= 2 * ROUNDING_US:
                continue
            at_us = (low + high) // 2
            [state] = [s for start, end, s in said if start <= at_us < end] or ["no_footage"]
            allowed = self.truth.states(camera, at_us, shots, self.config)
            assert state in allowed, (camera, _at(at_us), state, allowed)

    def _check_events(self, index, camera):
        found = [
            ((to_us(row["start"]), to_us(row["end"])), len(row["parts"]))
            for row in index.events(camera=camera).to_pylist()
        ]
        expected = self.truth.events(camera, self.config)
        for span, num_parts, is_certain in expected:
            alike = [one for one in found if _is_close(one[0], span) and one[1] == num_parts]
            assert len(alike) == 1 or not is_certain, (camera, span, num_parts, found)
        for run in self.truth.runs(camera, self.config):  # also of an event that has lost a file
            states = (self.truth.states(camera, s.span[0], [s], self.config) for s in run)
            is_told = any(
                low - ROUNDING_US <= run[0].begins_us and run[-1].span[1] <= high + ROUNDING_US
                for (low, high), _ in found
            )
            assert is_told or any(said != {"analysed"} for said in states), (camera, run, found)
        for (span, _), (then, _) in pairwise(sorted(found)):
            is_twice = then[0] < span[1] - ROUNDING_US and not self.is_kept
            assert not is_twice, (camera, span, then, "told twice")
        for span, _ in found:
            assert any(
                low - ROUNDING_US <= span[0] and span[1] <= high + ROUNDING_US
                for (low, high), _, _ in expected
            ), (camera, span, expected)
            for shot in self.truth.shots(camera, self.config):
                seen_us = min(span[1], shot.span[1]) - max(span[0], shot.span[0])
                is_told = seen_us > ROUNDING_US and self.truth.is_gone(camera, shot)
                assert not is_told, (camera, span, shot, "was erased")


def _is_close(one, other):
    return all(abs(a - b) <= ROUNDING_US for a, b in zip(one, other, strict=True))


def _at(us):
    return ns_to_datetime(us * 1000)


TestArchive = ArchiveMachine.TestCase
TestArchive.pytestmark = [pytest.mark.timeout(3600)]  # a busy machine must not fail it
TestArchive.settings = examples(10, steps=20)
