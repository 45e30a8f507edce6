"""What an index must hold, worked out from nothing: plain loops over frames, no code of the index.

It knows nothing of shards, windows, commits or runs. Of each camera's time it says which file
speaks for it and what that shows; of what people have asked to be erased, that nothing is told.
Where the rules leave room (a window that is only partly erased goes as a whole), it says "either".
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import groupby

from pipeline.config import Config
from tests.state.scripted import GAP_S, Recording, config_of

US_NS = 1_000
WINDOW_FRAMES = 6
"""No window of a test has more."""
ROUNDING_US = 2
"""Borders of events are rounded to microseconds of their window and once more of the clock."""

CORRECTED_CAMERA = "gate"

Span = tuple[int, int]
"""Half-open, UTC in microseconds."""
Clock = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Shot:
    """One frame that a file speaks for, as long as it is on screen there."""

    span: Span
    uri: str
    shows: bool
    number: int
    begins_us: int
    """Of its first frame in a piece: that may be later, and the time before it is its window's."""


@dataclass(frozen=True)
class Order:
    """What somebody has asked to be erased."""

    camera: str
    asked: Span
    known: tuple[tuple[str, Span], ...] = ()
    """The files that the index had there then, and when; none where files were named, no time."""
    frames: Mapping[tuple[str, str], frozenset[int]] = field(default_factory=dict)
    """By content id and uri, the frames that are erased, also under another clock. An empty uri
    stands for every copy of a file that was named."""
    clock: Clock = ()
    """How the camera's clock was corrected then: corrected anew, other frames have this time."""
    uris: frozenset[str] = frozenset()
    """The file that was named, and its copies: what each holds later from the same start counts as
    grown or repaired."""
    near: tuple[Span, ...] = ()
    """The time in which windows of any file may go with it: of a file that was named, only what it
    spoke for then."""


@dataclass
class Truth:
    """The archive as it is, and what was asked of the index."""

    recordings: dict[str, Recording] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)
    lifted: list[Order] = field(default_factory=list)
    """What a run with ``--include-erased`` looked at nevertheless. What a file held before it grew
    was not there to look at, so that this is still erased."""
    clock: dict[str, float] = field(default_factory=dict)
    """What the clock of one camera lacks."""
    unanswered: set[str] = field(default_factory=set)
    """Files of which a model may have failed to answer windows."""
    left_out: set[tuple[str, str, str]] = field(default_factory=set)
    """Camera, content id and uri of what a run may have left out, as it is beside what was erased:
    a copy of it is left out, too."""

    moved: set[str] = field(default_factory=set)
    """Files whose start was corrected."""
    remembered: set[tuple[str, Span]] = field(default_factory=set)
    """Camera and time at which a run may have found files that were erased as a whole: their rows
    stay there, since copies of them may turn up."""

    def cameras(self) -> list[str]:
        """Every camera of the archive."""
        return sorted({one.camera for one in self.recordings.values()})

    def footage(self, camera: str, config: Config) -> list[Span]:
        """What all files of a camera show, overlapping or not."""
        return [_utc(one, config, 0, one.num_frames) for one in self._of(camera)]

    def shots(self, camera: str, config: Config) -> list[Shot]:
        """Who speaks for what: more pixels first, then the earlier microsecond, then the name."""
        taken: list[Span] = []
        shots: list[Shot] = []
        spans = {one.uri: _utc(one, config, 0, one.num_frames) for one in self._of(camera)}
        for one in sorted(self._of(camera), key=lambda o: (-o.width, spans[o.uri][0], o.uri)):
            whole = spans[one.uri]
            for piece in without(whole, taken):
                shots += _shots_in(piece, one, config)
            taken.append(whole)
        return sorted(shots, key=lambda shot: shot.span)

    def states(self, camera: str, at_us: int, shots: Sequence[Shot], config: Config) -> set[str]:
        """What coverage may say of a moment."""
        [shot] = [s for s in shots if s.span[0] <= at_us < s.span[1]] or [None]
        orders = [o for o in self.orders if o.camera == camera]
        if shot is None:
            # A sliver of a file in which no frame begins is nobody's.
            is_shown = any(low <= at_us < high for low, high in self.footage(camera, config))
            orders += [o for o in self.lifted if o.camera == camera]
            was_erased = any(o.asked[0] <= at_us < o.asked[1] for o in orders) or any(
                where == camera and low <= at_us < high for where, (low, high) in self.remembered
            )
            return {"no_footage", *(["erased"] if was_erased or is_shown else [])}
        was_erased = any(low <= at_us < high for o in orders for low, high in o.near)
        if self.is_gone(camera, shot):
            return {"erased"}
        states = {"analysed"}
        if (
            was_erased
            or self._is_near(camera, shot, config)
            or self._is_beside_a_copy(camera, shot, config)
            # What a run has left out of a file moves with it.
            or (shot.uri in self.moved and any(uri == shot.uri for *_, uri in self.left_out))
        ):
            states.add("erased")
        if shot.uri in self.unanswered:
            states.add("failed")
        return states

    def erased(self, camera: str, asked: Span, config: Config) -> Order:
        """The order to erase a time, as it stands from now on."""
        of_camera = [one for one in self.recordings.values() if one.camera == camera]
        return Order(
            camera,
            asked,
            tuple((one.uri, _utc(one, config, 0, one.num_frames)) for one in of_camera),
            {
                (one.content_id, one.uri): frozenset(
                    number
                    for number in range(one.num_frames)
                    if _overlap(_utc(one, config, number, number + 1), asked)
                )
                for one in of_camera
            },
            self.clock_of(camera),
            near=(asked,),
        )

    def erased_file(self, one: Recording, config: Config) -> Order:
        """The order to erase a file. What others speak for stays."""
        asked = _utc(one, config, 0, one.num_frames)
        frames = {(one.content_id, ""): frozenset(range(one.num_frames))}
        uris = frozenset(o.uri for o in self._of(one.camera) if o.content_id == one.content_id)
        own = [shot.span for shot in self.shots(one.camera, config) if shot.uri == one.uri]
        return Order(one.camera, asked, (), frames, self.clock_of(one.camera), uris, tuple(own))

    def run_begins(self, config: Config) -> None:
        """Note what a run may leave out."""
        for one in self.recordings.values():
            reach = self._reach(one, config)
            orders = [order for order in self.orders if order.camera == one.camera]
            if any(_overlap(reach, span) for order in orders for span in order.near):
                self.left_out.add((one.camera, one.content_id, one.uri))
            if any((one.content_id, "") in order.frames for order in orders):
                self.remembered.add((one.camera, _utc(one, config, 0, one.num_frames)))

    def start_was_corrected(self, before: Recording, after: Recording, config: Config) -> None:
        """The footage of a file was of another time than the orders took it for.

        What was erased of it moves with it, and is still erased there if the file is replaced.
        """
        self.moved.add(after.uri)
        self.recordings[after.uri] = after
        keys = (before.content_id, before.uri), (before.content_id, "")
        for at, order in enumerate(self.orders):
            numbers = {number for key in keys for number in order.frames.get(key, ())}
            spans = [_utc(after, config, min(numbers), max(numbers) + 1)] if numbers else []
            self.orders[at] = replace(
                order,
                known=tuple(one for one in order.known if one[0] != after.uri),
                near=(*order.near, *(span for span in spans if order.camera == after.camera)),
            )

    def clock_of(self, camera: str) -> Clock:
        """How a camera's clock is corrected."""
        return tuple(sorted(self.clock.items())) if camera == CORRECTED_CAMERA else ()

    def is_gone(self, camera: str, shot: Shot) -> bool:
        """Whether a part of a frame was asked to be erased, and was there then."""
        content_id = self.recordings[shot.uri].content_id
        orders = [order for order in self.orders if order.camera == camera]
        return any(
            any(shot.number in order.frames.get((content_id, uri), ()) for uri in ("", shot.uri))
            or (
                order.clock == self.clock_of(camera)
                and any(
                    _overlap(shot.span, (max(low, order.asked[0]), min(high, order.asked[1])))
                    for _, (low, high) in order.known
                )
            )
            for order in orders
        )

    def _is_near(self, camera: str, shot: Shot, config: Config) -> bool:
        """Whether a window that holds the frame may have been erased with what is beside it."""
        one = self.recordings[shot.uri]
        first_us, then_us = _utc(one, config, 0, 1)
        reach_us = WINDOW_FRAMES * (then_us - first_us)
        around = shot.span[0] - reach_us, shot.span[1] + reach_us
        return any(
            any(_overlap(around, span) for span in order.near)
            or any(_overlap(around, span) for span in self._erased_files(order, config))
            # What was erased under another clock stays so if rows of it say so.
            or any(
                _overlap(_frames_under(order.clock, one, shot.number, WINDOW_FRAMES), span)
                for span in order.near
            )
            or any(
                abs(shot.number - number) <= WINDOW_FRAMES
                for (content_id, uri), numbers in order.frames.items()
                if content_id in _ids_until(one) or one.uri in (uri, *order.uris)
                for number in numbers
            )
            for order in self.orders
            if order.camera == camera
        )

    def _is_beside_a_copy(self, camera: str, shot: Shot, config: Config) -> bool:
        """Whether a copy of what another file lost shows this, or did when it was shorter.

        It is left out as a whole, and with it what shows the same time later.
        """
        orders = [order for order in self.orders if order.camera == camera]
        lost = {key for order in orders for key, numbers in order.frames.items() if numbers}
        lost |= {(content_id, uri) for where, content_id, uri in self.left_out if where == camera}
        return any(
            _overlap(shot.span, self._reach(one, config))
            for one in self._of(camera)
            for content_id, uri in lost
            if uri != one.uri and content_id in _ids_until(one)
        )

    def _reach(self, one: Recording, config: Config) -> Span:
        """The time of a file, and of windows that begin or end in it."""
        start_us, end_us = _utc(one, config, 0, one.num_frames)
        first_us, then_us = _utc(one, config, 0, 1)
        reach_us = WINDOW_FRAMES * (then_us - first_us)
        return start_us - reach_us, end_us + reach_us

    def _erased_files(self, order: Order, config: Config) -> Iterator[Span]:
        """Where the files lie now that were erased as a whole, if a correction has moved them."""
        has_new_clock = order.clock != self.clock_of(order.camera)
        for one in self._of(order.camera):
            is_moved = has_new_clock or one.uri in self.moved
            if is_moved and (one.content_id, "") in order.frames:
                yield _utc(one, config, 0, one.num_frames)

    def runs(self, camera: str, config: Config) -> list[list[Shot]]:
        """Per file: frames that follow one another and show something."""
        runs: list[list[Shot]] = []
        of_file: dict[str, list[Shot]] = {}
        for shot in self.shots(camera, config):
            run = of_file.get(shot.uri)
            if not shot.shows:
                of_file.pop(shot.uri, None)
            elif run and shot.span[0] - run[-1].span[1] <= ROUNDING_US:
                run.append(shot)
            else:
                of_file[shot.uri] = run = [shot]
                runs.append(run)
        return sorted(runs, key=lambda run: run[0].span)

    def events(self, camera: str, config: Config) -> list[tuple[Span, int, bool]]:
        """Start and end, the number of parts, and whether the rules leave no room.

        A part is what one file shows of it; a file that goes on after another one has a part more.
        """
        events: list[list[list[Shot]]] = []
        for run in self.runs(camera, config):
            before = events[-1][-1] if events else None
            if (
                before
                and before[-1].uri != run[0].uri
                and run[0].begins_us - before[-1].span[1] <= GAP_S * 1_000_000
            ):
                events[-1].append(run)
            else:
                events.append([run])
        return [
            (
                (event[0][0].begins_us, event[-1][-1].span[1]),
                len([*groupby(event, key=lambda run: run[0].uri)]),
                all(
                    self.states(camera, shot.span[0], [shot], config) == {"analysed"}
                    for run in event
                    for shot in run
                ),
            )
            for event in events
        ]

    def _of(self, camera: str) -> list[Recording]:
        return [one for one in self.recordings.values() if one.camera == camera]


def _utc(one: Recording, config: Config, first: int, last: int) -> Span:
    """From the beginning of one frame to that of another."""
    video = one.video(config)
    ticks = [*one.pts.tolist(), one.end_pts]
    return tuple(video.utc_ns(video.media_ns(ticks[at])) // US_NS for at in (first, last))


def _frames_under(clock: Clock, one: Recording, number: int, reach: int) -> Span:
    """A frame and those around it, in the time of another clock."""
    last = min(number + reach + 1, one.num_frames)
    return _utc(one, _config_under(clock), max(number - reach, 0), last)


@cache
def _ids_until(one: Recording) -> frozenset[str]:
    """The content ids that a file may have had while it grew: it may have been a copy then."""
    return frozenset(replace(one, num_frames=n).content_id for n in range(1, one.num_frames + 1))


@cache
def _config_under(clock: Clock) -> Config:
    return config_of(0, dict(clock))


def _shots_in(piece: Span, one: Recording, config: Config) -> list[Shot]:
    """The frames that begin in a piece of a file, each until the next or the piece's end."""
    frames = [
        (number, _utc(one, config, number, number + 1)[0]) for number in range(one.num_frames)
    ]
    # Times of other files are compared as tables hold them: a frame that begins less than that
    # before the piece begins with it.
    begun = [(n, at) for n, at in frames if piece[0] - ROUNDING_US < at < piece[1]]
    ends = [at for _, at in begun[1:]] + [piece[1]] * bool(begun)
    starts = [piece[0]] * bool(begun) + [at for _, at in begun[1:]]
    return [
        Shot((start, end), one.uri, one.shows(number), number, at)
        for (number, at), start, end in zip(begun, starts, ends, strict=True)
    ]


def _overlap(one: Span, other: Span) -> bool:
    return max(one[0], other[0]) < min(one[1], other[1])


def without(whole: Span, taken: Iterable[Span]) -> list[Span]:
    """What is left of a span."""
    left = [whole]
    for low, high in taken:
        left = [
            part
            for start, end in left
            for part in ((start, min(end, low)), (max(start, high), end))
            if part[0] < part[1]
        ]
    return sorted(left)
