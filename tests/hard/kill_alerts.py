"""``make alert-kill-test``: jobs and two senders at once are killed at random points.

    python -m tests.hard.kill_alerts --kills 200 --seed 1

In each round a job commits some events, and two processes evaluate and send, to a webhook that
answers 503 to a share of what it gets, half of the time although it has taken it. Each of the three
is killed at a random moment, or ends by itself. At the end all is sent undisturbed. Each alert must
then have been told once in each revision, under one message id, with its newest end. The last line
is one JSON object; the exit code is 0 if nothing was lost or told twice.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pipeline.index as pi
from pipeline.alerts.evaluate import evaluate
from pipeline.alerts.send import send_due
from pipeline.alerts.sinks import open_sink
from pipeline.config.alerts import AlertsConfig
from pipeline.index.store import Store
from tests.alert_receiver import SECRET, Receiver
from tests.index_rows import at, event, rows, video

_EVENT_S = 100
_GROWS_EVERY = 4
_GROWS_AFTER = 5


def main() -> int:
    """Kill until it was done ``--kills`` times."""
    options = argparse.ArgumentParser()
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--seed", type=int, default=1)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill") as folder:
        report = Killer(Path(folder), random.Random(asked.seed)).run(asked.kills)
    print(json.dumps(report))  # noqa: T201
    return 1 if report["lost"] or report["told_twice"] or report["bad_signatures"] else 0


class Killer:
    """Runs, kills and compares. What touches the index runs in a child: a fork copies no thread."""

    def __init__(self, folder: Path, chance: random.Random, failing: float = 0.3) -> None:
        self.index, self.chance = folder / "index", chance
        self.receiver = Receiver(failing, seed=chance.randrange(1000))
        os.environ["HOOK_SECRET"] = SECRET
        hook = {"webhook": self.receiver.url, "secret_env": "HOOK_SECRET", "retry_s": 0.05}
        rule = {"labels": ["person"], "late_after_s": 1e9, "late": "send"}
        self.config = AlertsConfig.model_validate(
            {"rules": {"night": rule}, "sinks": {"hook": hook}}
        )

    def run(self, kills: int) -> dict[str, Any]:
        """Counts of what was seen."""
        started_s = time.monotonic()
        self._finish(lambda: self._commit(1))
        self._finish(self._send)
        longest_s = time.monotonic() - started_s
        counts: Counter[str] = Counter()
        step = 1
        while counts["kills"] < kills:
            work = [lambda step=step: self._commit(step + 1), self._send, self._send]
            children = [(_start(one), self.chance.uniform(0, longest_s)) for one in work]
            ends = self._until_ended(children)
            counts["kills"] += ends.count(-signal.SIGKILL)
            counts["rounds"] += 1
            assert set(ends) <= {0, -signal.SIGKILL}, ends
            step += ends[0] == 0
        self._finish(lambda: self._commit(step + 1))
        for _ in range(200):
            self._finish(self._send)
            if self._num_waiting() == 0:
                break
            time.sleep(0.5)
        report = {**counts, **self._told(step + 1)}
        self.receiver.stop()
        return {**report, "wall_s": round(time.monotonic() - started_s)}

    def _until_ended(self, children: list[tuple[int, float]]) -> list[int]:
        """Exit codes of children that are killed after their time, if they are still there."""
        started_s = time.monotonic()
        ends: dict[int, int] = {}
        while len(ends) < len(children):
            for pid, after_s in children:
                if pid in ends:
                    continue
                if time.monotonic() - started_s > after_s:
                    os.kill(pid, signal.SIGKILL)
                ended, code = os.waitpid(pid, os.WNOHANG)
                if ended:
                    ends[pid] = os.waitstatus_to_exitcode(code)
            time.sleep(0.005)
        return [ends[pid] for pid, _ in children]

    def _finish(self, work: Callable[[], object]) -> None:
        _, code = os.waitpid(_start(work), 0)
        assert code == 0, code

    def _commit(self, step: int) -> None:
        """Index the videos of a step: each shows one event, and some of the older ones grow."""
        writer = pi.Writer(self.index)
        for number in (step, step - _GROWS_AFTER):
            if number < 1:
                continue
            is_grown = number != step and number % _GROWS_EVERY == 0
            name, start = f"v{number}", number * _EVENT_S
            shown = event(
                f"e{number}{'g' if is_grown else ''}",
                at(start),
                at(start + (60 if is_grown else 10)),
                label="person",
                video_id=name,
                camera=f"cam{number % 3}",
            )
            done = video(name, start, start + 90, camera=f"cam{number % 3}", num_events=1)
            writer.finish_videos(rows("videos", done), rows("events", shown))

    def _send(self) -> None:
        store = Store.at(self.index)
        evaluate(store, self.config)
        send_due(store, self.config, {"hook": open_sink("hook", self.config.sinks["hook"])})

    def _num_waiting(self) -> int:
        read, write = os.pipe()

        def count() -> None:
            states = pi.open(self.index).rows("alerts")["state"].to_pylist()
            os.write(write, str(sum(state != "sent" for state in states)).encode())

        self._finish(count)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            return int(pipe.read())

    def _told(self, last: int) -> dict[str, Any]:
        """What the webhook has, against what was committed."""
        revisions: dict[tuple[str, int], set[str]] = defaultdict(set)
        ends: dict[str, str] = {}
        alerts: dict[str, set[str]] = defaultdict(set)
        for message, bodies in self.receiver.taken.items():
            for told in bodies[0]["alerts"]:
                revisions[told["alert_id"], told["revision"]].add(message)
                ends[told["alert_id"]] = max(ends.get(told["alert_id"], ""), told["end"])
                alerts[told["start"]].add(told["alert_id"])
        expected = {}
        for number in range(1, last + 1):
            is_grown = number % _GROWS_EVERY == 0 and number <= last - _GROWS_AFTER
            start = number * _EVENT_S
            expected[_iso(start)] = _iso(start + (60 if is_grown else 10))
        lost = [
            start
            for start, end in expected.items()
            if end not in {ends[one] for one in alerts.get(start, ())}
        ]
        return {
            "events": len(expected),
            "grown": sum(
                end != _iso(i * _EVENT_S + 10) for i, end in enumerate(expected.values(), 1)
            ),
            "messages": len(self.receiver.taken),
            "lost": len(lost),
            "told_twice": sum(len(ids) > 1 for ids in revisions.values())
            + sum(len(ids) > 1 for ids in alerts.values())
            + len(alerts.keys() - expected.keys()),
            "requests": self.receiver.num_requests,
            "refused": self.receiver.num_refused,
            "same_id_again": sum(len(bodies) - 1 for bodies in self.receiver.taken.values()),
            "bad_signatures": self.receiver.num_bad,
        }


def _iso(seconds: float) -> str:
    return at(seconds).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _start(work: Callable[[], object]) -> int:
    if pid := os.fork():
        return pid
    try:
        work()
    except BaseException:  # noqa: BLE001 - nothing may pass a fork
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
