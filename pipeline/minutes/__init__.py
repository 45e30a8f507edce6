"""minutes: what is on the screen while somebody speaks, and the record of a meeting. Pure."""

from pipeline.minutes.check import contradiction, contradiction_of_page, contradiction_of_topic
from pipeline.minutes.link import pages_on_screen
from pipeline.minutes.make import Chapter, Minutes, make_minutes
from pipeline.minutes.note import Kind, Note, NotShown
from pipeline.minutes.topic import Meaning, Pages, Topic

__all__ = [
    "Chapter",
    "Kind",
    "Meaning",
    "Minutes",
    "NotShown",
    "Note",
    "Pages",
    "Topic",
    "contradiction",
    "contradiction_of_page",
    "contradiction_of_topic",
    "make_minutes",
    "pages_on_screen",
]
