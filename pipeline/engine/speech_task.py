"""The task of every engine that tells what is said: one, so that a newer one replaces an older."""

from pipeline.config.task import Task
from pipeline.records.speech import HEARD

SPEECH_TASK = Task(name=HEARD, labels={"speech": "somebody speaks"}, prompt="", summary=False)
"""Coverage and queries know what was heard by this name."""
