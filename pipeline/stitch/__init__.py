"""stitch: joins events over the borders of windows, shards and files, and places them. Pure."""

from pipeline.stitch.events import events_of_video, join_files
from pipeline.stitch.zones import zone_events

__all__ = ["events_of_video", "join_files", "zone_events"]
