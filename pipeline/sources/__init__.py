"""list: which video files there are, which camera recorded each, and when it began.

    survey            all files at some locations: videos, and what is passed over
    survey_tables     the same as rows, part by part
    SourceTable       its videos as columns, which are a sequence of ``Source`` records
    list_sources      its videos alone, as ``Source`` records
    findings          what speaks against the clock of a camera
    local_to_utc      a time without a zone, by the zone of the config
    is_sound_name     whether a file is a recording of sound alone, by its name
    from_path         the camera and start that a path contains
    is_being_written  whether a file must wait for a later run; ``still_written`` is the message
    CameraShard       one part of an archive that several drivers index together
    modified_since    the files that are new enough

listing     local files, and what cannot be opened      sidecar     JSON sidecars and telemetry
list_files  lists of locations                          link_pages  folders of web servers
remote      files of a store                            file_kinds  names and first bytes of videos
local_files files of this machine                       twins       small copies of recordings
columns     the files of a listing as columns   store_files pages of stores
names       what a path says                            local_time  zones, summer time, UTC
recorder_profile  how a recorder names its files; the data files are in the folder ``profiles``
path_template, path_time, path_rules  templates of paths, the times in them, many at once
modified    when files were last written
"""

from pipeline.sources.camera_shard import CameraShard
from pipeline.sources.clock_evidence import CameraOffset, Finding, Take, findings, refused
from pipeline.sources.columns import SourceTable
from pipeline.sources.file_kinds import is_sound_name
from pipeline.sources.found_files import Listed, Listing
from pipeline.sources.listing import list_sources, passed_over_message, survey, survey_videos
from pipeline.sources.local_time import local_to_utc
from pipeline.sources.modified import (
    is_being_written,
    modified_since,
    still_written,
)
from pipeline.sources.names import from_path
from pipeline.sources.survey_table import survey_tables

__all__ = [
    "CameraOffset",
    "CameraShard",
    "Finding",
    "Listed",
    "Listing",
    "SourceTable",
    "Take",
    "findings",
    "from_path",
    "is_being_written",
    "is_sound_name",
    "list_sources",
    "local_to_utc",
    "modified_since",
    "passed_over_message",
    "refused",
    "still_written",
    "survey",
    "survey_tables",
    "survey_videos",
]
