"""A short form of ``make alert-kill-test``: it goes on until enough kills came in time."""

import random

from tests.hard.kill_alerts import Killer


def test_each_event_is_told_once_although_jobs_and_two_senders_are_killed(tmp_path):
    report = Killer(tmp_path, random.Random(7)).run(kills=4)
    assert report["kills"] >= 4
    assert (report["lost"], report["told_twice"], report["bad_signatures"]) == (0, 0, 0)
    assert report["messages"] >= report["events"]
