"""Rules find happenings in new commits, and each is told once to each sink."""

from datetime import UTC, datetime, timedelta

import pytest
import yaml

from pipeline.alerts.evaluate import evaluate
from pipeline.alerts.send import resend, send_due
from pipeline.config import load_config
from pipeline.errors import ConfigError
from pipeline.index import maintain
from pipeline.index.check import check
from pipeline.index.erase import erase
from pipeline.index.scope import Scope
from tests.alert_archive import NOW, Archive, config, person
from tests.index_rows import at, event, rows, segment, video, window


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path / "index")


def first_ids(message):
    return [alert.what.event_ids[0] for alert in message.alerts]


def test_an_event_is_told_once_however_often_jobs_run_again(archive):
    archive.commit(person("a", 10, 20), event("b", at(30), at(40), label="car"))
    for _ in range(3):
        archive.evaluate(config())
        archive.commit(person("a", 10, 20), event("b", at(30), at(40), label="car"))
    assert [first_ids(one) for one in archive.send(config())] == [["a"]]
    archive.evaluate(config())
    assert archive.send(config()) == []
    assert check(archive.store) == []


def test_an_event_with_another_id_is_the_same_alert(archive):
    archive.commit(person("a", 10, 20))
    archive.evaluate(config())
    archive.send(config())
    archive.commit(person("other", 9, 21))  # another model, another first observation
    archive.evaluate(config())
    assert archive.send(config()) == []
    assert len(archive.alerts()) == 1


@pytest.mark.parametrize(
    ("end", "revisions"),
    [(49.999999, []), (50, [2])],  # grown by a microsecond less than update_s, and by that
)
def test_an_event_that_grows_over_a_file_border_is_an_update(archive, end, revisions):
    archive.commit(person("a", 10, 20))
    archive.evaluate(config())
    [first] = archive.send(config())
    archive.commit(person("a", 10, end))
    archive.evaluate(config())
    updates = archive.send(config())
    assert [alert.revision for one in updates for alert in one.alerts] == revisions
    assert all(
        alert.alert_id == first.alerts[0].alert_id for one in updates for alert in one.alerts
    )
    assert all(one.message_id != first.message_id for one in updates)


@pytest.mark.parametrize(("start", "alerts"), [(24.999999, 1), (25.0, 2)])
def test_events_closer_than_a_gap_are_one_alert(archive, start, alerts):
    archive.commit(person("a", 10, 20), person("b", start, 60))
    archive.evaluate(config())
    assert len(archive.alerts()) == alerts


def test_a_rule_tells_nothing_of_late_events_that_were_there_before_it(archive):
    archive.commit(person("old", 10, 20))
    later = at(20 + 86_400) + timedelta(microseconds=1)
    assert archive.evaluate(config(), now=later).new == []
    archive.commit(person("new", 610, 620, video_id="v2"), video_id="v2", start=600, end=1200)
    archive.commit(person("old", 10, 20), person("late", 100, 110))
    found = archive.evaluate(config(), now=at(200 + 86_400)).new
    assert [(one.what.event_ids, one.is_late) for one in found] == [
        (("late",), True),
        (("new",), False),
    ]


@pytest.mark.parametrize(
    ("late", "told"), [("send", [["a"], ["b"]]), ("digest", [["a", "b"]]), ("drop", [])]
)
def test_late_alerts_are_sent_or_collected_or_dropped(archive, late, told):
    archive.commit()
    archive.evaluate(config(late=late))
    archive.commit(person("a", 10, 20), person("b", 50, 60))
    archive.evaluate(config(late=late), now=at(7 * 86_400))
    messages = archive.send(config(late=late), now=at(7 * 86_400))
    assert [first_ids(one) for one in messages] == told
    assert all(alert.is_late for one in messages for alert in one.alerts)


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ({"min_confidence": 0.5}, ["a"]),
        ({"min_confidence": 0.50001}, []),
        ({"min_duration_s": 10}, ["a", "b"]),
        ({"min_duration_s": 10.000001}, ["b"]),
        ({"text": "LADDER"}, ["b"]),
        ({"fields": {"side": "left"}}, ["b"]),
        ({"zones": ["yard"]}, ["a"]),
        ({"zones": ["none"]}, ["b"]),
        ({"cameras": ["cam*"]}, ["a", "b"]),
        ({"cameras": ["gate"]}, []),
        ({"task": "other"}, []),
        ({"hours": ["08:00-08:01"]}, ["a"]),
        ({"hours": ["08:00-08:05"]}, ["a", "b"]),
        ({"hours": ["mon-sat"]}, []),  # it is a Sunday
    ],
)
def test_a_rule_finds_what_meets_all_of_its_conditions(archive, rule, found):
    archive.commit(
        person("a", 10, 20, confidence=0.5, zone="yard"),
        person("b", 60, 90, text="a man on a ladder", fields=[("side", "left")]),
    )
    new = archive.evaluate(config(**rule)).new
    assert sorted(one.what.event_ids[0] for one in new) == found


@pytest.mark.parametrize(("last", "groups"), [(60.0, [("a", "b", "c")]), (60.000001, [])])
def test_many_events_within_a_span_are_one_alert(archive, last, groups):
    rules = config(at_least=3, within_s=60)
    archive.commit(person("a", 0, 1), person("b", 30, 31), person("far", 300, 301))
    assert archive.evaluate(rules).new == []
    last_one = person("c", last, last + 1)
    archive.commit(person("a", 0, 1), person("b", 30, 31), last_one, person("far", 300, 301))
    assert [one.what.event_ids for one in archive.evaluate(rules).new] == groups


def test_absence_counts_only_footage_that_was_looked_at(archive):
    rules = config(absent_s=200)
    archive.commit(person("a", 100, 110), person("b", 310, 320))
    archive.commit(video_id="v3", start=5000, end=5199)
    failed = {"status": "failed"}
    archive.writer.write_windows(
        rows("windows", window("v4", 0, 7000, 7500, video_id="v4", **failed))
    )
    archive.writer.finish_videos(rows("videos", video("v4", 7000, 7500)))
    new = archive.evaluate(rules).new
    spans = [(one.what.kind, one.what.span.duration_ns // 10**9) for one in new]
    assert spans == [("absence", 200), ("absence", 280)]  # 110 to 310, and 320 to the end
    archive.commit(video_id="v2", start=600, end=700)
    archive.evaluate(rules)
    assert len(archive.alerts()) == 2  # the second goes on


def test_one_in_quiet_hours_is_told_after_them_with_the_others(archive):
    rules = config(quiet=["09:00-10:00"])
    archive.commit(person("a", 10, 20), person("b", 50, 60))
    archive.evaluate(rules, now=at(3600))  # 09:00 sharp
    assert archive.send(rules, now=at(3600)) == []
    assert archive.send(rules, now=at(7199.999999)) == []
    assert [first_ids(one) for one in archive.send(rules, now=at(7200))] == [["a", "b"]]


def test_a_throttled_camera_is_told_of_together_when_its_time_is_over(archive):
    rules = config(throttle_s=600, late_after_s=1e6)
    archive.commit(person("a", 0, 1))
    archive.evaluate(rules, now=at(700))
    assert [first_ids(one) for one in archive.send(rules, now=at(700))] == [["a"]]
    archive.commit(person("a", 0, 1), person("b", 30, 31), person("c", 60, 61))
    archive.evaluate(rules, now=at(701))
    assert archive.send(rules, now=at(1299.999999)) == []
    assert [first_ids(one) for one in archive.send(rules, now=at(1300))] == [["b", "c"]]


def test_a_digest_is_collected_for_its_time(archive):
    rules = config(digest_s=60)
    archive.commit(person("a", 0, 1))
    archive.evaluate(rules, now=at(700))
    archive.commit(person("a", 0, 1), person("b", 30, 31))
    archive.evaluate(rules, now=at(750))
    assert archive.send(rules, now=at(759.999999)) == []
    assert [first_ids(one) for one in archive.send(rules, now=at(760))] == [["a", "b"]]


def test_a_sink_that_fails_is_tried_again_with_the_same_id_and_holds_up_no_other(archive):
    sinks = {"bad": {"jsonl": "/x", "give_up_s": 60}, "good": {"jsonl": "/y"}}
    rules = config(sinks=sinks)
    archive.commit(person("a", 10, 20))
    archive.evaluate(rules)
    assert [one.sink for one in archive.send(rules, failing=["bad"])] == ["good"]
    [waiting] = [one for one in archive.alerts() if one.sink == "bad"]
    assert (waiting.state, waiting.num_tries, waiting.error) == ("waiting", 1, "it is closed")
    assert archive.send(rules, now=NOW + timedelta(seconds=4.999999)) == []
    [again] = archive.send(rules, now=NOW + timedelta(seconds=5))
    assert again.message_id == waiting.message_id


def test_what_no_sink_takes_is_dead_until_it_is_revived(archive):
    rules = config(sinks={"bad": {"jsonl": "/x", "give_up_s": 60}})
    archive.commit(person("a", 10, 20))
    archive.evaluate(rules)
    for seconds in (0, 5, 60):
        archive.send(rules, now=NOW + timedelta(seconds=seconds), failing=["bad"])
    assert [one.state for one in archive.alerts()] == ["dead"]
    assert archive.send(rules, now=NOW + timedelta(days=1)) == []
    assert resend(archive.store, state="dead") == 1
    assert len(archive.send(rules, now=datetime.now(tz=UTC))) == 1


def test_two_that_evaluate_at_once_find_everything_once(archive, monkeypatch):
    archive.commit(person("a", 10, 20))
    from pipeline.index import outbox

    commit, raced = outbox._commit, []

    def racing(handle, decision):
        if not raced:
            raced.append(True)
            evaluate(archive.store, config(), now=NOW)  # another process is faster
        commit(handle, decision)

    monkeypatch.setattr(outbox, "_commit", racing)
    assert archive.evaluate(config()).new == []
    assert len(archive.alerts()) == 1


def test_another_process_takes_over_only_what_an_ended_one_has_claimed(archive, monkeypatch):
    from pipeline.alerts import send
    from pipeline.processes import identity

    rules = config()
    archive.commit(person("a", 10, 20))
    archive.evaluate(rules)
    [claimed] = send._claim(archive.store, rules, NOW)
    monkeypatch.setattr(identity, "has_ended", lambda _name: False)
    assert send._claim(archive.store, rules, NOW + timedelta(minutes=4)) == []
    monkeypatch.setattr(identity, "has_ended", lambda _name: True)
    [taken] = send._claim(archive.store, rules, NOW)
    assert taken.message_id == claimed.message_id


def test_growth_during_a_delivery_is_told_afterwards(archive):
    rules = config()
    archive.commit(person("a", 10, 20))
    archive.evaluate(rules)

    def deliver(message):
        if not told:
            archive.commit(person("a", 10, 100))
            archive.evaluate(rules)
        told.append(message)

    told = []
    send_due(archive.store, rules, {"desk": deliver}, lambda: NOW)
    assert [one.alerts[0].revision for one in told] == [1, 2]
    assert len({one.message_id for one in told}) == 2


def test_compaction_and_vacuum_are_no_news(archive):
    archive.commit(person("a", 10, 20))
    archive.commit(person("b", 610, 620, video_id="v2"), video_id="v2", start=600, end=1200)
    archive.evaluate(config())
    archive.send(config())
    maintain.compact(archive.store, min_age=timedelta(0))
    maintain.vacuum(archive.store, retention=timedelta(0))
    assert archive.evaluate(config()).new == []
    assert archive.send(config()) == []
    assert {one.state for one in archive.alerts()} == {"sent"}
    assert check(archive.store) == []


def test_erasing_footage_erases_the_alerts_about_it(archive):
    archive.commit(person("a", 10, 20), person("b", 100, 110))
    archive.evaluate(config())
    receipt = erase(archive.store, Scope.parse(start=at(19), end=at(50)))
    assert receipt["rows"]["alerts"] == 1
    assert [one.what.event_ids for one in archive.alerts()] == [("b",)]
    assert archive.evaluate(config()).new == []
    assert check(archive.store) == []


def test_an_index_holds_neither_rules_nor_sinks():
    told = load_config(None, ("alerts={sinks: {hook: {webhook: 'https://h/SECRET'}}}",))
    assert "SECRET" not in told.to_json()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rules": {"r": {"hours": ["25:00-26:00"]}}}, "25:00 is no time"),
        ({"rules": {"r": {"hours": ["someday 08:00-09:00"]}}}, "'someday' is no day"),
        ({"rules": {"r": {"sinks": ["x"]}}}, "there is no sink 'x'"),
        ({"rules": {"r": {"absent_s": 1, "at_least": 2}}}, "make two rules"),
        ({"timezone": "Mars"}, "no IANA time zone"),
        ({"sinks": {"s": {"jsonl": "a", "webhook": "http://h"}}}, "exactly one of"),
        ({"sinks": {"s": {"jsonl": "a", "secret_env": "S"}}}, "only a webhook is signed"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_with_the_way_out(tmp_path, change, words):
    tree = {"alerts": {"sinks": {"s": {"jsonl": "a"}}, **change}}
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(ConfigError, match=words):
        load_config(path)


def test_segments_are_no_events(archive):
    archive.writer.finish_videos(
        rows("videos", video("v9", num_segments=1)),
        None,
        rows("segments", segment("s", video_id="v9")),
    )
    assert archive.evaluate(config()).new == []
