"""The exactness matrix, file by file, as a page: `make exactness` writes docs/exactness.md.

Each file is decoded three times: by a plain loop over the whole file with PyAV, which knows no
index and skips nothing; by `decode_frames` in one shard; and in as many shards as it has keyframes,
but at most 50. The pictures are compared bit by bit, at their own size up to 640 pixels of width.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av

from pipeline.config import DecodeConfig, FrameConfig, SampleConfig
from pipeline.errors import SourceError
from pipeline.media import decode_frames, probe
from pipeline.media.pixels import Converter
from pipeline.plan import packets_for
from pipeline.records import Frame, PacketIndex, Video
from tests.kinds import KINDS
from tests.unit.test_media_decode import RECIPES
from tests.videos import footage_dir, make_video, number_in, source_of

FRAME = FrameConfig(luma_width=640)
MAX_SHARDS = 50
MAX_PIXELS_IN_ALL = 300_000_000
HEADER = (
    "| file | codec | size | frames | times | one shard | shards | suspect | notes |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the matrix."""

    name: str
    codec: str = ""
    size: str = ""
    frames: str = ""
    times: str = ""
    one_shard: str = ""
    shards: str = ""
    suspect: str = ""
    notes: str = ""

    def __str__(self) -> str:
        cells = (self.codec, self.size, self.frames, self.times, self.one_shard, self.shards)
        return "| " + " | ".join((f"`{self.name}`", *cells, self.suspect, self.notes)) + " |"


def generated() -> Iterator[Row]:
    """Videos whose frames show their numbers: the truth is in the picture."""
    with tempfile.TemporaryDirectory() as folder:
        for name, recipe in RECIPES.items():
            path = make_video(Path(folder) / name, recipe)
            yield row_of(path, name, numbers=range(len(recipe.pts or range(recipe.num_frames))))
        for name, make in KINDS.items():
            path = Path(folder) / name
            yield row_of(path, name, numbers=make(path))


def footage(folder: Path) -> Iterator[Row]:
    """Real and broken files; the truth about times is ffprobe's, in the manifest."""
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())["files"]
    for name, facts in sorted(manifest.items()):
        truth = facts.get("ground_truth") or {}
        if name.startswith(("hard/", "real/odd", "archive/")) and name != "hard/names.tar":
            yield row_of(folder / name, name, pts_sha256=truth.get("pts_sha256"))


def row_of(
    path: Path, name: str, *, numbers: range | None = None, pts_sha256: str | None = None
) -> Row:
    """Decode one file in every way and compare."""
    try:
        video, packets = probe(source_of(path), sample=SampleConfig(), decode=DecodeConfig())
    except SourceError as exc:
        return Row(name=name, notes="refused:" + str(exc).partition(":")[2].replace("|", "/"))
    shown = packets.shown_pts.tolist()
    facts = {"name": name, "codec": video.codec, "size": f"{video.width}x{video.height}"}
    notes = "; ".join(video.warnings)
    if len(shown) * video.width * video.height > MAX_PIXELS_IN_ALL:
        limited = f"first {len(shown := first_frames(packets, video))} of {video.num_frames}"
        notes = "; ".join(filter(None, (f"{limited} frames compared", notes)))
    one, suspect = digests(decoded(video, packets, [shown]))
    parts = list(shards(packets, shown))
    many, suspect_of_many = digests(decoded(video, packets, parts))
    sanitized = plain_loop(video, shown)
    known = [pts for pts in shown if pts in sanitized and pts in one]
    same = [sum(sanitized[pts] == got.get(pts) for pts in known) for got in (one, many)]
    unmarked = [
        pts
        for got, marked in ((one, suspect), (many, suspect_of_many))
        for pts in known
        if sanitized[pts] != got.get(pts) and pts not in marked
    ]
    if numbers is not None:
        right = [number_in(frame.luma) for frame in decoded(video, packets, [shown])]
        times = "right" if right == list(numbers) else "WRONG"
    elif len(packets.shifts):
        times = "moved, as the clock jumps"
    elif pts_sha256 and len(shown) == video.num_frames:
        mine = hashlib.sha256("\n".join(map(str, sorted(one))).encode()).hexdigest()
        times = "right" if mine == pts_sha256 else "other than ffprobe"
    else:
        times = "not compared"
    if not sanitized or "stores no display times" in notes or len(packets.shifts):
        told = ["no times to compare by"] * 2
    else:
        rest = "UNMARKED DIFFERENCE" if unmarked else "the rest is marked"
        told = [
            f"{count} of {len(known)} equal" + (f", {rest}" if count < len(known) else "")
            for count in same
        ]
    return Row(
        **facts,
        frames=f"{len(one)} of {len(shown)}",
        times=times,
        one_shard=told[0],
        shards=f"{len(parts)}: " + ("the same" if many == one else told[1]),
        suspect=str(len(suspect)),
        notes=notes.replace("|", "/"),
    )


def first_frames(packets: PacketIndex, video: Video) -> list[int]:
    """As many of the first frames as can be compared in a while."""
    num = max(2, MAX_PIXELS_IN_ALL // (video.width * video.height))
    return [int(pts) for pts in packets.shown_pts[:num]]


def shards(packets: PacketIndex, shown: list[int]) -> Iterator[list[int]]:
    """The frames, cut at keyframes."""
    keys = sorted(set(packets.pts[packets.keyframe & ~packets.discard].tolist()) & set(shown))
    cuts = keys[:: -(-len(keys) // MAX_SHARDS)] if keys else []
    for low, high in pairwise(sorted({shown[0], *cuts, shown[-1] + 1})):
        yield [pts for pts in shown if low <= pts < high]


def decoded(video: Video, packets: PacketIndex, parts: Iterable[list[int]]) -> Iterator[Frame]:
    """The frames of all parts, each decoded for itself."""
    for want in parts:
        part = packets_for(packets, want)
        yield from decode_frames(video, part, want, frame=FRAME, rgb=False)


def digests(frames: Iterable[Frame]) -> tuple[dict[int, bytes], set[int]]:
    """Digest of each picture by its pts, and the pts of those that may be damaged."""
    found, suspect = {}, set()
    for frame in frames:
        found[frame.pts] = hashlib.blake2b(frame.luma.tobytes()).digest()
        if frame.suspect:
            suspect.add(frame.pts)
    return found, suspect


def plain_loop(video: Video, shown: list[int]) -> dict[int, bytes]:
    """Digest of each picture by its pts; of several with one pts, the last."""
    wanted, found = set(shown), {}
    with av.open(f"file:{video.uri}", metadata_errors="replace") as container:
        stream = container.streams[video.stream_index]
        stream.thread_type = "NONE"
        sar = stream.sample_aspect_ratio or Fraction(1)
        pixels = Converter(video, sar=sar, frame=FRAME, rgb=False)
        demuxer = container.demux(stream)
        while (packet := next(demuxer, None)) is not None:
            try:
                pictures = packet.decode()
            except av.FFmpegError:
                continue
            for picture in pictures:
                if picture.pts in wanted:
                    found[picture.pts] = hashlib.blake2b(pixels.luma(picture).tobytes()).digest()
            if packet.pts is not None and packet.pts > shown[-1] + 4 / video.time_base:
                break
    return found


def main() -> None:
    """Print the page; ends with 1 if a frame is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="write the page here as well")
    asked = parser.parse_args()
    lines = ["# Exactness, file by file", "", (__doc__ or "").partition("\n\n")[2].strip(), ""]
    lines += ["`times`: each frame shows the number that belongs to its time (generated files), or"]
    lines += ["the times are those of ffprobe (footage). `equal`: bit for bit the picture of the"]
    lines += ["plain loop. `suspect`: frames handed out with the mark of possible damage.", ""]
    wrong = False
    for title, rows in (("Generated", generated()), ("Footage", _footage())):
        lines += [f"## {title}", "", HEADER]
        print("\n".join(lines[-3:]), flush=True)  # noqa: T201
        for row in rows:
            print(row, flush=True)  # noqa: T201
            lines.append(str(row))
            wrong = wrong or "WRONG" in row.times or "UNMARKED" in row.one_shard + row.shards
        lines.append("")
    if asked.out:
        asked.out.parent.mkdir(exist_ok=True)
        asked.out.write_text("\n".join(lines))
    sys.exit(wrong)


def _footage() -> Iterator[Row]:
    folder = footage_dir()
    yield from footage(folder) if folder else ()


if __name__ == "__main__":
    main()
