"""list: which files there are, whose camera each belongs to, and when it began.

    list_sources      files, folders, globs, URLs and list files become ``Source`` records
    from_path         camera and start that a path itself names
    is_being_written  whether a file is to be left to a later run; ``still_written`` says so
    CameraShard       one part of an archive that is cut among several drivers
    modified_since    those that are new enough; ``parse_since`` reads what a user means by that

listing     what is found, and what cannot be opened    sidecar     JSON notes and telemetry
remote      what a store lists                          suffixes    how videos are named
names       templates and regexes for paths             local_time  zones, summer time, UTC
modified    when files were last written
"""

from pipeline.sources.camera_shard import CameraShard
from pipeline.sources.listing import list_sources
from pipeline.sources.modified import (
    is_being_written,
    modified_since,
    parse_since,
    still_written,
)
from pipeline.sources.names import from_path

__all__ = [
    "CameraShard",
    "from_path",
    "is_being_written",
    "list_sources",
    "modified_since",
    "parse_since",
    "still_written",
]
