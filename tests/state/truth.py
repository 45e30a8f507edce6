"""What an index must hold, worked out from nothing: plain loops over frames, no code of the index.

It knows nothing of shards, windows, commits or runs. Of each camera's time it says which file
speaks for it and what that shows; of what people have asked to be erased, that nothing is told.
Where the rules leave room (a window that is only partly erased goes as a whole), it says "either".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pipeline.config import Config
from tests.state.scripted import GAP_S, Recording

US_NS = 1_000
WINDOW_FRAMES = 6
"""No window of a test has more."""
ROUNDING_US = 2
"""Borders of events are rounded to microseconds of their window and once more of the clock."""

Span = tuple[int, int]
"""Half-open, UTC in microseconds."""


@dataclass(frozen=True)
class Shot:
    """One frame that a file speaks for, as long as it is on screen there."""

    span: Span
    uri: str
    shows: bool
    begins_us: int
    """Of its first frame in a piece: that may be later, and the time before it is its window's."""


@dataclass(frozen=True)
class Order:
    """What somebody has asked to be erased."""

    camera: str
    asked: Span
    known: tuple[Span, ...]
    """The footage that the index had there then."""
    contents: frozenset[str] = frozenset()
    """Of files that were erased as a whole: wherever these turn up, they are not looked at. What
    other files show of the same time may stay until it is due for another reason."""


@dataclass
class Truth:
    """The archive as it is, and what was asked of the index."""

    recordings: dict[str, Recording] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)
    unanswered: set[str] = field(default_factory=set)
    """Files of which a model may have failed to answer windows."""

    def cameras(self) -> list[str]:
        """Every camera of the archive."""
        return sorted({one.camera for one in self.recordings.values()})

    def footage(self, camera: str, config: Config) -> list[Span]:
        """What all files of a camera show, overlapping or not."""
        return [_utc(one, config, 0, one.num_frames) for one in self._of(camera)]

    def footage_of(self, one: Recording, config: Config) -> list[Span]:
        """What one file shows."""
        return [_utc(one, config, 0, one.num_frames)]

    def shots(self, camera: str, config: Config) -> list[Shot]:
        """Who speaks for what: more pixels first, then the earlier start, then the name."""
        taken: list[Span] = []
        shots: list[Shot] = []
        for one in sorted(self._of(camera), key=lambda o: (-o.width, o.start_ns, o.uri)):
            whole = _utc(one, config, 0, one.num_frames)
            for piece in _without(whole, taken):
                shots += _shots_in(piece, one, config)
            taken.append(whole)
        return sorted(shots, key=lambda shot: shot.span)

    def states(self, camera: str, at_us: int, shots: Sequence[Shot], config: Config) -> set[str]:
        """What coverage may say of a moment."""
        [shot] = [s for s in shots if s.span[0] <= at_us < s.span[1]] or [None]
        orders = [o for o in self.orders if o.camera == camera]
        was_erased = any(o.asked[0] <= at_us < o.asked[1] for o in orders)
        if shot is None:
            # A sliver of a file in which no frame begins is nobody's.
            is_shown = any(low <= at_us < high for low, high in self.footage(camera, config))
            return {"no_footage", *(["erased"] if was_erased or is_shown else [])}
        if self.is_gone(camera, shot.span) or self.recordings[shot.uri].content_id in {
            content for order in orders for content in order.contents
        }:
            return {"erased"}
        states = {"analysed"}
        if was_erased or self._is_near(camera, shot, config):
            states.add("erased")
        if shot.uri in self.unanswered:
            states.add("failed")
        return states

    def is_gone(self, camera: str, span: Span) -> bool:
        """Whether a part of it was asked to be erased, and was there then."""
        return any(
            max(span[0], low) < min(span[1], high)
            for order in self.orders
            if order.camera == camera and not order.contents
            for known in order.known
            for low, high in [(max(known[0], order.asked[0]), min(known[1], order.asked[1]))]
            if low < high
        )

    def _is_near(self, camera: str, shot: Shot, config: Config) -> bool:
        """Whether a window that holds the frame may have been erased with what is beside it."""
        one = self.recordings[shot.uri]
        reach_us = (
            WINDOW_FRAMES * _utc(one, config, 0, 1)[1]
            - WINDOW_FRAMES * (_utc(one, config, 0, 1)[0])
        )
        low, high = shot.span[0] - reach_us, shot.span[1] + reach_us
        return any(
            o.camera == camera and o.asked[0] < high and low < o.asked[1] for o in self.orders
        )

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
        """Start and end, the number of files, and whether the rules leave no room."""
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
                len({shot.uri for run in event for shot in run}),
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
        Shot((start, end), one.uri, one.shows(number), at)
        for (number, at), start, end in zip(begun, starts, ends, strict=True)
    ]


def _without(whole: Span, taken: Iterable[Span]) -> list[Span]:
    left = [whole]
    for low, high in taken:
        left = [
            part
            for start, end in left
            for part in ((start, min(end, low)), (max(start, high), end))
            if part[0] < part[1]
        ]
    return sorted(left)
