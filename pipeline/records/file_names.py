"""Names of files that are made of rows: an index of somebody else may hold ``../`` in an id."""

import re

from pipeline.records.footage import make_id

MAX_NAME_BYTES = 100
"""A file system allows 255; a few of these, a time and a suffix fit."""

_UNSAFE = re.compile(r"[^\w.-]+")


def file_name(text: str) -> str:
    """A part of the name of one file, which leads into no folder and is never empty.

    A text that is such a name stays as it is. Another one is made plain, and ends with a hash of
    the text, so that two texts never have the same name.
    """
    plain = _UNSAFE.sub("_", text).lstrip(".-")
    plain = plain.encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    if plain == text and text:
        return text
    return f"{plain}-{make_id(ascii(text))[:8]}".lstrip("-")
