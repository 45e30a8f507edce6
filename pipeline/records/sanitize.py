"""Makes untrusted text safe for a terminal, a caption cue and a spreadsheet.

Such text comes from models, from signs in a picture and from file names.
"""

import json
import re

# The line and paragraph separators, characters that change the direction of text, and the tags, in
# which a model reads a sentence that nobody sees. Joiners stay, since some scripts need them.
_HIDDEN = "\u2028\u2029\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f"
# With control characters of C0 and C1: escape sequences, bells, NUL.
_UNSAFE = re.compile(f"[\x00-\x1f\x7f-\x9f{_HIDDEN}]+")
_UNSAFE_IN_LINES = re.compile(_UNSAFE.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))
_NO_XML = re.compile("[\ufffe\uffff]")
# JSON writes the other control characters as escapes itself. A lone surrogate has no UTF-8.
_UNSAFE_IN_JSON = re.compile(f"[\x7f-\x9f{_HIDDEN}\ud800-\udfff]")


def sanitized(text: str) -> str:
    """The text on one line, each run of unsafe characters replaced by a space."""
    return _UNSAFE.sub(" ", text).strip()


def sanitized_lines(text: str) -> str:
    """The text with its line breaks and tabs, each other run of unsafe characters a space."""
    return _UNSAFE_IN_LINES.sub(" ", storable(text))


def escaped_json(json_text: str) -> str:
    """The same JSON, which reads back equal, with escapes for unsafe characters."""
    return _UNSAFE_IN_JSON.sub(lambda match: json.dumps(match[0])[1:-1], json_text)


def xml_text(text: str) -> str:
    """The text on one line without unsafe characters and those that XML cannot hold."""
    return sanitized(_NO_XML.sub(" ", storable(text)))


def storable(text: str) -> str:
    """The same text; surrogates without their other half, which no table can hold, replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
