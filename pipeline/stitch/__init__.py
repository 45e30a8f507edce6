"""stitch: joins events over the borders of windows, shards and files. Pure."""

from pipeline.stitch.events import events_of_video, join_files

__all__ = ["events_of_video", "join_files"]
