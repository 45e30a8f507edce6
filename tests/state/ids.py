"""What holds for the rows of every index."""

from pipeline.index.filters import Where


def check_ids(index):
    """No id twice, and nothing about what is not there."""
    tables = {
        name: index.select_all(name, Where()).to_pylist()
        for name in ("videos", "windows", "events")
    }
    for name, key in (("videos", "video_id"), ("windows", "window_id"), ("events", "event_id")):
        ids = [(row["task"], row["fingerprint"], row[key]) for row in tables[name]]
        assert len(ids) == len(set(ids)), f"{name} twice"
    videos = {row["video_id"] for row in tables["videos"]}
    assert {row["video_id"] for row in tables["windows"]} <= videos
    assert {part["video_id"] for row in tables["events"] for part in row["parts"]} <= videos
    windows = {row["window_id"] for row in tables["windows"]}
    assert {name for row in tables["events"] for name in row["window_ids"]} <= windows
