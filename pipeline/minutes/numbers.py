"""The number of a page that is said: "slide 3", "page five", "the third slide", 第三页. Pure."""

import re

_CARDINALS = """
one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty
"""
_ORDINALS = """
first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth
fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth
"""
_CARDINAL, _ORDINAL = _CARDINALS.split(), _ORDINALS.split()
_VALUES = {word: value for words in (_CARDINAL, _ORDINAL) for value, word in enumerate(words, 1)}
_PAGE = "(?:slide|page)"
_NAMED = re.compile(
    rf"\b{_PAGE}\s+(?:number\s+|no\.?\s*)?(?P<after>\d{{1,3}}|{'|'.join(_CARDINAL)})\b"
    rf"|\b(?P<before>(?:{'|'.join(_ORDINAL)})|\d{{1,3}}(?:st|nd|rd|th))\s+{_PAGE}\b"
    r"|第\s*(?P<chinese>\d{1,3}|[一二两三四五六七八九十]{1,3})\s*(?:页|頁|张|張)"
    r"|(?:幻灯片|页面)\s*(?P<bare>\d{1,3})",
    re.IGNORECASE,
)
_FIGURES = {figure: value for value, figure in enumerate("一二三四五六七八九", 1)} | {"两": 2}


def number_of_page(text: str) -> int | None:
    """The number of the page that a text names; None if it names none, or several."""
    numbers = set()
    for match in _NAMED.finditer(text):
        [name] = filter(None, match.groupdict().values())
        numbers.add(_value(name.lower()))
    return numbers.pop() if len(numbers) == 1 else None


def _value(name: str) -> int:
    if name in _VALUES:
        return _VALUES[name]
    if name[0].isdigit():
        return int(re.sub(r"\D", "", name))
    tens, has_ten, ones = name.rpartition("十")
    value = sum(_FIGURES.get(figure, 0) for figure in ones)
    return value + (10 * (_FIGURES.get(tens, 0) or 1) if has_ten else 0)
