"""minutes: what is on the screen while somebody speaks, and the record of a meeting. Pure.

link.py     the page on the screen while somebody speaks
topic.py    the page that somebody speaks of; numbers.py, position.py: by what says so
make.py     chapters and lists, quoted; assigned.py: who does a task, until when
prompt.py   numbered lines -> messages; an answer -> lines that cite them
write.py    what a model writes of all of a meeting, part by part
claims.py   figures, dates and names of a sentence
check.py    whether the rows that a line names bear it out, whoever wrote it
"""

from pipeline.minutes.check import (
    contradiction,
    contradiction_of_page,
    contradiction_of_told,
    contradiction_of_topic,
)
from pipeline.minutes.link import pages_on_screen
from pipeline.minutes.make import Chapter, Minutes, make_minutes, quotable
from pipeline.minutes.note import Kind, Note, NotShown, Told
from pipeline.minutes.prompt import PROMPT_ID
from pipeline.minutes.topic import Meaning, Pages, Topic
from pipeline.minutes.write import Author, Writing, write_minutes

__all__ = [
    "PROMPT_ID",
    "Author",
    "Chapter",
    "Kind",
    "Meaning",
    "Minutes",
    "NotShown",
    "Note",
    "Pages",
    "Told",
    "Topic",
    "Writing",
    "contradiction",
    "contradiction_of_page",
    "contradiction_of_told",
    "contradiction_of_topic",
    "make_minutes",
    "pages_on_screen",
    "quotable",
    "write_minutes",
]
