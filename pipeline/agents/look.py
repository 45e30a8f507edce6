"""What a model may look up while it answers a question: the reading tools of the MCP server."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.agents import answers
from pipeline.index import Index

MAX_SENTENCES = 12
MAX_CITED = 12
MAX_LOOK_ROWS = 40

Words = Annotated[str, Field(max_length=200)]
Id = Annotated[str, Field(max_length=100)]


class Sentence(BaseModel):
    """One sentence of an answer, and the rows on which it rests."""

    model_config = ConfigDict(extra="forbid")

    ids: Annotated[list[Id], Field(max_length=MAX_CITED)]
    text: Annotated[str, Field(max_length=400)]


class Step(BaseModel):
    """What the model does next; "" and [] where a tool has no use for a key."""

    model_config = ConfigDict(extra="forbid")

    tool: Literal["query", "search", "coverage", "summaries", "answer"]
    table: Literal["events", "segments", ""]
    start: Words
    end: Words
    camera: Words
    label: Words
    words: Words
    level: Literal["chapter", "video", "day", ""]
    sentences: Annotated[list[Sentence], Field(max_length=MAX_SENTENCES)]


class Look(BaseModel):
    """One look into the index, and what it gave."""

    tool: str
    start: str
    end: str
    camera: str
    label: str
    words: str
    found: answers.Answer

    @property
    def told(self) -> str:
        """The look in a few words."""
        of = (self.tool, self.label, self.words, self.camera and f"of {self.camera}")
        return " ".join([*filter(None, of), f"from {self.start} to {self.end}"])


def look(index: Index, step: Step) -> Look:
    """Do what a step asks for.

    Raises:
        ConfigError: a time, a camera or words are not what the tool takes; the message says which.
    """
    camera = step.camera or None
    match step.tool:
        case "query":
            found = answers.ask(
                index,
                step.table or "events",
                step.start,
                step.end,
                camera=camera,
                limit=MAX_LOOK_ROWS,
                label=step.label or None,
                text=step.words or None,
            )
        case "search":
            found = answers.search_words(
                index, step.words, step.start, step.end, camera=camera, limit=MAX_LOOK_ROWS
            )
        case "summaries":
            found = answers.ask(
                index,
                "summaries",
                step.start,
                step.end,
                camera=camera,
                limit=MAX_LOOK_ROWS,
                level=step.level or "day",
            )
        case _:
            found = answers.covered(index, step.start, step.end, camera)
    return Look(
        tool=step.table if step.tool == "query" and step.table else step.tool,
        start=answers.one_line(step.start),
        end=answers.one_line(step.end),
        camera=answers.one_line(step.camera),
        label=answers.one_line(step.label),
        words=answers.one_line(step.words),
        found=found,
    )


def rows_of(looks: Sequence[Look]) -> dict[str, list[answers.Found]]:
    """All rows that were given, by id; an event over two files has two."""
    rows: dict[str, list[answers.Found]] = {}
    for row in (row for one in looks for row in one.found.rows if row.id):
        same = rows.setdefault(row.id, [])
        if row not in same:
            same.append(row)
    return rows
