"""Who does a task and until when, where somebody says so, English and Chinese. Pure.

Both are taken word for word from the sentence; who says "I" is known by the voice. Where nobody is
named, as in "we will", or several are for several things, nobody is told.
"""

import re
from collections.abc import Collection

from pipeline.minutes.claims import is_common

_NAME = r"(?:(?:Dr|Mrs?|Ms|Prof)\.\s+)?[^\W\d_a-z\u3400-\u9fff][\w'\u2019-]*"
_NAMES = rf"{_NAME}(?:(?:,?\s+(?:and\s+)?|,\s*){_NAME}){{0,4}}"
# What things do, too: "the offer will be late".
_WILL = (
    r"will(?!\s+(?:be(?!\s+responsible)|become|cost|end|happen|have|include|need|not|start|take)\b)"
)
_DOES = (
    rf"(?:{_WILL}|must|shall|should|has to|have to|needs? to|is going to|are going to|is to|are to"
    r"|(?:is|are) responsible|(?:is|are) in charge|takes? (?:care|over)|agreed to|promised to)\b"
)
_NAMED = re.compile(
    rf"(?:^|(?<=[\s\"(\u201c]))(?P<before>{_NAMES})(?:'ll\b|\u2019ll\b|\s+{_DOES})"
    rf"|(?:^|(?<=[.!?]\s))(?P<called>{_NAME}),\s+(?:please|you|can you|could you|would you)\b"
    rf"|\b(?:assigned to|action item for|owner:|owner is)\s+(?P<after>{_NAMES})"
)
_FIRST = "and but so then also next now ok okay well yes first finally"
_BEFORE = frozenset(_FIRST.split())
_SELF = re.compile(
    rf"\bI(?:['\u2019]ll\b|(?:['\u2019]m|\s+am)\s+(?:going to|responsible)\b|\s+{_DOES})"
    r"|我(?:来|会|将|要|去|负责|必须|需要)"
)
_CLAUSE = r"(?:^|(?<=[\s,;:.!?\uff0c\u3002\uff1b\uff1a\uff01\uff1f\u3001]))"
_THEN = r"(?:所以|因此|然后|那么|那|另外|最后|接下来|以后|之后|现在|目前)?"
_CHINESE = re.compile(
    rf"(?:由|让|请)(?P<by>[\u4e00-\u9fff]{{2,4}}?|{_NAME})\s?来?负责"
    rf"|{_CLAUSE}{_THEN}(?P<who>[\u4e00-\u9fff]{{2,4}}?|{_NAME})\s?来?负责"
)
_NOBODY = re.compile("[我你他她它谁这那]|大家|需要|必须|应该|主要|可以|一起|共同|还是|不|没")
_DAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
)
_PERIOD = r"(?:day|week|month|quarter|year)"
_DATE = "|".join(
    (
        rf"(?:the\s+)?end of (?:(?:the|this|next)\s+)?(?:{_PERIOD}|{_MONTH})",
        rf"(?:(?:next|this)\s+)?(?i:{_DAY})(?:\s+(?:morning|noon|afternoon|evening|next week))?",
        rf"(?:next|this)\s+{_PERIOD}",
        r"tomorrow(?:\s+(?:morning|noon|afternoon|evening|night))?|today|tonight|noon|midnight",
        rf"{_MONTH}\s+(?:the\s+)?\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+\d{{4}})?",
        rf"(?:the\s+)?\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}(?:\s+\d{{4}})?",
        r"\d{4}-\d\d-\d\d|\d{1,2}(?::\d\d)?\s?(?:am|pm|o'clock)|\d{1,2}:\d\d",
        r"the\s+\d{1,2}(?:st|nd|rd|th)",
    )
)
_CHINESE_DATE = (
    r"(?:下个?|[本这])?(?:周|星期|礼拜)[一二三四五六日天末]|[今明后]天|今晚"
    r"|(?:下个?|[本这])(?:周|星期|月|季度)"
    r"|(?:\d{1,2}|[一二三四五六七八九十]{1,2})月"
    r"(?:(?:\d{1,2}|[一二三四五六七八九十]{1,3})[日号]|底)?"
    r"|(?:\d{1,2}|[一二三四五六七八九十]{1,3})[日号]|[月年]底|季度末"
)
_UNTIL = re.compile(
    rf"\b(?i:by|before|until|till|no later than|not later than)\s+(?:{_DATE})(?!\w)"
    rf"|(?:{_CHINESE_DATE})(?:之前|以前|前|以内|之内|内)"
)
_WHEN = re.compile(rf"\b(?i:on\s+)?(?:{_DATE})(?!\w)|(?:{_CHINESE_DATE})")


def owner_of(text: str, speaker: str, known: Collection[str] = ()) -> str:
    """Whom a sentence gives a task; "" if it names nobody, or several for several things.

    Args:
        text: the sentence.
        speaker: who says it; "" if nobody knows.
        known: names of persons, for Chinese, whose letters do not tell names.
    """
    names = {_name("".join(filter(None, found.groups()))) for found in _NAMED.finditer(text)}
    for found in _CHINESE.finditer(text):
        name = found["by"] or found["who"]
        names.add("" if _NOBODY.search(name) else name)
    names |= {
        name
        for name in known
        if len(name) > 1 and re.search(rf"{re.escape(name)}(?:会|将|必须|需要|要|来)", text)
    }
    if is_of_self(text):
        names.add(speaker)
    names -= {""}
    return names.pop() if len(names) == 1 else ""


def due_of(text: str) -> str:
    """Until when, in the words of the sentence; "" if it does not say."""
    found = _UNTIL.search(text) or _WHEN.search(text)
    return found[0].strip() if found else ""


def is_of_self(text: str) -> bool:
    """Whether who says it takes something on."""
    return bool(_SELF.search(text))


def _name(words: str) -> str:
    """The words without those before them that only begin a sentence; "" if they name nobody."""
    while (first := words.partition(" ")[0].strip(",").lower()) in _BEFORE:
        words = words[len(first) :].lstrip(" ,")
    parts = [part for part in re.split(r"[\s,]+", words) if part != "and"]
    return "" if any(map(is_common, parts)) else words
