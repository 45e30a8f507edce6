"""How the names of videos end."""

import os

# fmt: off
VIDEO_SUFFIXES = frozenset(
    {
        ".264", ".265", ".3gp", ".asf", ".avi", ".divx", ".dv", ".flv", ".gif", ".h264",
        ".h265", ".hevc", ".m2t", ".m2ts", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4",
        ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv",
    }
)
# fmt: on
"""What a folder is searched for; files that are named themselves may end as they like."""


def is_video_name(name: str) -> bool:
    """Whether a folder's file of this name is one of its videos."""
    return os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES
