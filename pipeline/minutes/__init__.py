"""minutes: what is on the screen while somebody speaks, and the record of a meeting. Pure."""

from pipeline.minutes.check import contradiction, contradiction_of_page
from pipeline.minutes.link import pages_on_screen
from pipeline.minutes.make import Chapter, Minutes, make_minutes
from pipeline.minutes.note import Kind, Note, NotShown

__all__ = [
    "Chapter",
    "Kind",
    "Minutes",
    "NotShown",
    "Note",
    "contradiction",
    "contradiction_of_page",
    "make_minutes",
    "pages_on_screen",
]
