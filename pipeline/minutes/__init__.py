"""minutes: what is on the screen while somebody speaks, and the record of a meeting. Pure."""

from pipeline.minutes.check import contradiction
from pipeline.minutes.link import pages_on_screen
from pipeline.minutes.make import Chapter, Minutes, make_minutes
from pipeline.minutes.note import Kind, Note

__all__ = ["Chapter", "Kind", "Minutes", "Note", "contradiction", "make_minutes", "pages_on_screen"]
