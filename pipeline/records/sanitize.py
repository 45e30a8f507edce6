"""Text of strangers (models, signs in a picture, file names), made fit for a terminal and a cue."""

import re

# Control characters (escape sequences, bells, NUL, also those of C1), the line and paragraph
# separators, and what turns the direction of the text around it. Joiners stay: scripts need them.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def sanitized(text: str) -> str:
    """One line that moves no cursor, rings no bell and reads in one direction."""
    return _UNSAFE.sub(" ", text).strip()
