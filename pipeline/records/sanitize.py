"""Makes untrusted text safe for a terminal and a caption cue.

Such text comes from models, from signs in a picture and from file names.
"""

import re

# Control characters of C0 and C1 (escape sequences, bells, NUL), the line and paragraph separators,
# and characters that change the direction of text. Joiners stay, since some scripts need them.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def sanitized(text: str) -> str:
    """The text on one line, each run of unsafe characters replaced by a space."""
    return _UNSAFE.sub(" ", text).strip()


def storable(text: str) -> str:
    """The same text; surrogates without their other half, which no table can hold, replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
