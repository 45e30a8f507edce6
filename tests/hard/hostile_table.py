"""Attacks, one in a process of its own each: how it ended, its memory and its time, as a table.

make hostile-table. Exit code 1 if one needs more than 1 GB above the idle process, or longer than
its bound. What must come out is for the tests to say (tests/unit/test_hostile_*.py and others).
"""

import argparse
import gzip
import itertools
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import pipeline.index as pi
from pipeline.config import SourcesConfig
from pipeline.config.yaml_text import parse_yaml
from pipeline.errors import TimereelError
from pipeline.sources import list_sources
from tests.asked_endpoint import GOOD, KEY, results_of
from tests.conftest import LOBBY
from tests.endpoint import RAW, Endpoint, completion, response
from tests.hostile_media import HOSTILE
from tests.index_rows import at, event, rows, video
from tests.unit.test_hostile_media import outcome
from tests.unit.test_hostile_yaml import BOMB, LADDER, MERGES
from tests.videos import make_video, source_of

MAX_BYTES = 1_000_000_000
_CUT_S = 300.0
_LONGEST_WORDS = 90


class Attack(NamedTuple):
    """What is done in a folder of its own, and how long it may take."""

    use: Callable[[Path], object]
    bound_s: float
    prepare: Callable[[Path], None] = lambda _: None


def _media(name: str) -> Attack:
    def prepare(folder: Path) -> None:
        (folder / "hostile.mp4").write_bytes(HOSTILE[name](folder))

    return Attack(lambda folder: _ended(folder / "hostile.mp4"), 60.0, prepare)


def _ended(path: Path) -> str:
    [(text, _)] = outcome([source_of(path)])
    words = text.split()
    return " ".join(sorted(set(words))) if set(words) <= {"ok", "analysed", "Window"} else text


def _playlist(line: str) -> Attack:
    def prepare(folder: Path) -> None:
        (folder / "live").mkdir()
        make_video(folder / "other.ts", num_frames=5)
        (folder / "live" / "a.m3u8").write_text(f"#EXTM3U\n#EXTINF:1,\n{line}\n#EXT-X-ENDLIST\n")

    return Attack(lambda folder: _ended(folder / "live" / "a.m3u8"), 60.0, prepare)


def _endpoint(answer: Callable[[], Iterator[bytes]] | bytes, timeout_s: float = 20.0) -> Attack:
    def use(_: Path) -> str:
        os.environ["THE_KEY"] = KEY
        [result] = results_of(Endpoint((RAW, answer)), timeout_s=timeout_s)
        return f"{result.status} window: {result.error}"

    return Attack(use, timeout_s + 10)


def _chunked(pieces: Iterator[bytes], *headers: str) -> Iterator[bytes]:
    head = ["HTTP/1.1 200 OK", "Content-Type: application/json", "Transfer-Encoding: chunked"]
    yield "\r\n".join([*head, *headers, "", ""]).encode()
    for piece in pieces:
        yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


def _dripping() -> Iterator[bytes]:
    for piece in itertools.repeat(b" "):
        time.sleep(0.2)
        yield piece


def _bomb() -> Iterator[bytes]:
    return iter([gzip.compress(bytes(1_000_000)) * 2000])


def _listed(line: bytes) -> Attack:
    def prepare(folder: Path) -> None:
        (folder / "list.txt").write_bytes(line.replace(b"HERE", os.fsencode(folder)) + b"\n")

    return Attack(
        lambda folder: _told(list_sources([str(folder / "list.txt")], SourcesConfig())),
        30.0,
        prepare,
    )


def _sidecar(content: bytes | None) -> Attack:
    def prepare(folder: Path) -> None:
        (folder / "gate.mp4").write_bytes(LOBBY.read_bytes())
        if content is None:
            os.mkfifo(folder / "gate.json")
        else:
            (folder / "gate.json").write_bytes(content)

    return Attack(lambda folder: _told(list_sources([str(folder)], SourcesConfig())), 30.0, prepare)


def _told(sources: list) -> str:
    return "; ".join(one.problem or one.unreachable or "listed" for one in sources) or "no source"


def _yaml(text: str) -> Attack:
    return Attack(lambda _: parse_yaml(text, "run.yaml"), 30.0)


def _index(folder: Path) -> None:
    pi.Writer(folder / "index").finish_videos(
        rows("videos", video()), rows("events", event("e", at(1), at(2)))
    )


def _log(change: Callable[[dict], object]) -> Attack:
    """A further entry of the log of ``events``: the newest one, changed."""

    def prepare(folder: Path) -> None:
        _index(folder)
        newest = max((folder / "index/events/_delta_log").glob("*.json"))
        [*_, added] = map(json.loads, newest.read_text().splitlines())
        change(added["add"])
        newest.with_name(f"{int(newest.stem) + 1:020}.json").write_text(json.dumps(added))

    return Attack(lambda folder: pi.open(folder / "index").events().num_rows, 30.0, prepare)


def _sql(query: str) -> Attack:
    return Attack(
        lambda folder: pi.open(folder / "index").sql(query, timeout_s=5).num_rows, 15.0, _index
    )


_VECTOR = {"storageType": "p", "pathOrInlineDv": "file:///etc/passwd", "offset": 0}
ATTACKS: dict[str, Attack] = {
    **{f"video: {name}": _media(name) for name in HOSTILE},
    "playlist names /etc/passwd": _playlist("/etc/passwd"),
    "playlist names a host": _playlist("http://127.0.0.1:9/a.ts"),
    "playlist climbs": _playlist("../other.ts"),
    "endpoint: 200 MB": _endpoint(response(completion("x" * 200_000_000))),
    "endpoint: endless": _endpoint(lambda: _chunked(itertools.repeat(b" " * 1_000_000))),
    "endpoint: a byte each 0.2 s": _endpoint(lambda: _chunked(_dripping()), timeout_s=3.0),
    "endpoint: 2 GB in gzip": _endpoint(lambda: _chunked(_bomb(), "Content-Encoding: gzip")),
    "endpoint: 2 million choices": _endpoint(
        response(b'{"choices":[' + b"[]," * 2_000_000 + b"[]]}")
    ),
    "endpoint: a good answer": _endpoint(response(completion(GOOD))),
    "list line: reference://": _listed(b"reference://a.mp4::http://127.0.0.1:9/refs.json"),
    "list line: unknown scheme": _listed(b"foo://bar/x.mp4"),
    "list line: link-local address": _listed(b"http://169.254.169.254/latest/x.mp4"),
    "list line: no UTF-8": _listed(b"\xff.mp4"),
    "list line: the list itself": _listed(b"HERE/list.txt"),
    "sidecar: 50 MB name": _sidecar(b'{"camera": "' + b"x" * 50_000_000 + b'"}'),
    "sidecar: 200,000 brackets": _sidecar(b"[" * 200_000),
    "sidecar: half a character": _sidecar(b'{"camera": "a\\ud800b"}'),
    "sidecar: a pipe": _sidecar(None),
    "YAML: aliases of aliases": _yaml(BOMB),
    "YAML: merges of merges": _yaml(MERGES),
    "YAML: ladder of aliases": _yaml(LADDER),
    "YAML: 20,000 brackets": _yaml("a: " + "[" * 20_000),
    "log: names /etc/passwd": _log(lambda add: add.update(path="../../../../../etc/passwd")),
    "log: names a host": _log(lambda add: add.update(path="http://127.0.0.1:9/x.parquet")),
    "log: deletion vector": _log(lambda add: add.update(deletionVector=_VECTOR)),
    "log: 3 million brackets": _log(lambda add: add.update(stats="[" * 3_000_000)),
    "SQL: repeat('x', 3e9)": _sql("SELECT repeat('x', 3000000000)"),
    "SQL: a list of 500 million": _sql("SELECT list(range) FROM range(500000000)"),
    "SQL: a trillion rows": _sql("SELECT count(*) FROM range(1000000000000)"),
    "SQL: endless recursion": _sql(
        "WITH RECURSIVE t AS (SELECT 1 x UNION ALL SELECT x + 1 FROM t) SELECT count(*) FROM t"
    ),
    "SQL: a pattern": _sql("SELECT regexp_matches(repeat('a', 30000), '(a+)+$b')"),
    "SQL: reads /etc/passwd": _sql("SELECT * FROM read_text('/etc/passwd'), events"),
}


def _kilobytes(pid: int, name: str) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return next((int(line.split()[1]) for line in status if line.startswith(name)), 0)


def _largest_kilobytes(session: int) -> int:
    """The largest memory so far of a process in a session; a query has a process of its own."""
    largest = 0
    for folder in Path("/proc").iterdir():
        with suppress(ValueError, OSError):
            if os.getsid(int(folder.name)) == session:
                largest = max(largest, _kilobytes(int(folder.name), "VmHWM"))
    return largest


def _attack(attack: Attack, folder: Path, answer: Connection) -> None:
    """Sends its idle memory in kB; then what happened, and the seconds that it took."""
    os.setsid()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins again
    answer.send(_kilobytes(os.getpid(), "VmRSS"))
    start = time.monotonic()
    try:
        told = str(attack.use(folder))
    except TimereelError as exc:
        told = f"{type(exc).__name__}: {exc}"
    answer.send((told.replace(str(folder), ""), time.monotonic() - start))
    time.sleep(1)  # for the last look at its memory


def _run(attack: Attack) -> tuple[str, int, float]:
    """What happened, the memory above the idle process in bytes, and seconds."""
    # Forked, so that each begins with the same, small memory at once; what prepares, too.
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        before = context.Process(target=attack.prepare, args=(Path(folder),))
        before.start()
        before.join()
        child = context.Process(target=_attack, args=(attack, Path(folder), there))
        child.start()
        there.close()
        idle, peak, end, told, seconds = 0, 0, time.monotonic() + _CUT_S, "hangs", _CUT_S
        try:
            idle = here.recv()
            while not here.poll(0.03) and time.monotonic() < end:
                peak = max(peak, _largest_kilobytes(child.pid or 0))
            if here.poll():
                told, seconds = here.recv()
        except EOFError:
            told, seconds = "the process died", 0.0
        peak = max(peak, _largest_kilobytes(child.pid or 0))
        child.kill()
        child.join()
    return told, max(0, peak - idle) * 1024, seconds


def main() -> int:
    """Print the table; 1 if an attack went beyond its bounds, or ended as a bug."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="attacks whose name begins so")
    chosen = parser.parse_args().only
    head = "| attack | what happened | MB above idle | seconds | bound |"
    print(f"{head}\n|---|---|---|---|---|")  # noqa: T201
    bad = []
    for name, attack in ATTACKS.items():
        if name.startswith(chosen):
            told, num_bytes, seconds = _run(attack)
            words = " ".join(told.split()).replace("|", "/")[:_LONGEST_WORDS]
            figures = f"{num_bytes / 1e6:.0f} | {seconds:.1f} | {attack.bound_s:g}"
            print(f"| {name} | {words} | {figures} |", flush=True)  # noqa: T201
            if (
                told in {"hangs", "the process died"}
                or num_bytes > MAX_BYTES
                or seconds > attack.bound_s
            ):
                bad.append(name)
    print(f"\nbeyond its bound: {', '.join(bad) or 'none'}")  # noqa: T201
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
