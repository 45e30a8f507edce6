"""list: which files there are, whose camera each belongs to, and when it began.

    list_sources    files, folders, globs, URLs and list files become ``Source`` records
    from_path       camera and start that a path itself names

listing     what is found, and what cannot be opened    sidecar     JSON notes and telemetry
names       templates and regexes for paths             local_time  zones, summer time, UTC
"""

from pipeline.sources.listing import list_sources
from pipeline.sources.names import from_path

__all__ = ["from_path", "list_sources"]
