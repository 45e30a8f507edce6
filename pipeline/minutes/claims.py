"""What a sentence claims beyond its wording: figures, their units, dates and names. Pure.

Figures and dates are compared by what they mean, so that "forty euros", "40 EUR" and 四十欧元 are
one, and minutes in English may rest on Chinese speech. Names are compared by their letters.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from decimal import Context, Decimal

_ONES = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen
"""
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_DAYS = "monday tuesday wednesday thursday friday saturday sunday"
_MONTHS = """
January February March April May June July August September October November December
"""
_CHINESE_MONTHS = "一 二 三 四 五 六 七 八 九 十 十一 十二"
_SMALL = {word: value for value, word in enumerate(_ONES.split())} | {
    word: 10 * tens for tens, word in enumerate(_TENS.split(), 2)
}
_LARGE = {"thousand": 10**3, "k": 10**3, "million": 10**6, "m": 10**6, "billion": 10**9}
_WORDS = "|".join(sorted([*_SMALL, "hundred", *_LARGE], key=len, reverse=True))
_ENGLISH = re.compile(rf"\b(?:{_WORDS})\b(?:(?:[\s-]+|\s+and\s+)(?:{_WORDS})\b)*")
_DIGITS = re.compile(
    r"(\d[\d,]*(?:\.\d+)?)\s*(thousand\b|million\b|billion\b|k\b|m\b|[百千万亿]+)?"
)
_FIGURES = {figure: value for value, figure in enumerate("零一二三四五六七八九")} | {
    "两": 2,
    "\u3007": 0,
}
_CHINESE_UNITS = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8}
_CHINESE = re.compile(f"[{''.join([*_FIGURES, *_CHINESE_UNITS])}]+")
_NO_FIGURES = frozenset(["一", "百", "千", "万", "亿", "万一", "一一"])
"""They stand in other words, as in 一起, or are such."""
_MOST_DIGITS = 100
"""Of a figure; what is longer is compared as it is written."""
_EXACT = Context(prec=2 * _MOST_DIGITS)

_UNITS = {
    "EUR": r"€|\beur\b|\beuros?\b|欧元",
    "USD": r"\$|\busd\b|\bdollars?\b|美元",
    "GBP": r"£|\bgbp\b|\bpounds?\b|英镑",
    "CNY": r"¥|\bcny\b|\brmb\b|\byuan\b|人民币|(?<!欧|美|日)元|块钱?",
    "%": r"%|\bper\s?cent\b|百分之",
}
_DATES = {
    **{
        day: rf"\b{day}s?\b|(?:周|星期|礼拜){'[日天]' if day == 'sunday' else figure}"
        for day, figure in zip(_DAYS.split(), "一二三四五六日", strict=True)
    },
    "today": r"\btoday\b|今天",
    "tonight": r"\btonight\b|今晚",
    "tomorrow": r"\btomorrow\b|明天",
    "yesterday": r"\byesterday\b|昨天",
    **{
        f"{which} {period}": rf"\b{which} {period}\b|{chinese}"
        for which, period, chinese in (
            ("this", "week", "[本这]周"), ("next", "week", "下个?(?:周|星期|礼拜)"),
            ("last", "week", "上个?(?:周|星期|礼拜)"), ("this", "month", "[本这]个?月"),
            ("next", "month", "下个?月"), ("last", "month", "上个?月"),
            ("this", "quarter", "[本这]个?季度"), ("next", "quarter", "下个?季度"),
            ("this", "year", "今年"), ("next", "year", "明年"), ("last", "year", "去年"),
        )
    },
    "end of month": r"\bend of (?:the |this )?month\b|月底",
    "end of year": r"\bend of (?:the |this )?year\b|年底",
}  # fmt: skip
_CHINESE_DATE = re.compile(
    r"(?:周|星期|礼拜)[一二三四五六日天]|(?:\d{1,2}|[一二三四五六七八九十]{1,2})月"
)
# In the letters of the text as they stand: "may" is no month.
_MONTH_NAMES = {
    month: re.compile(rf"\b{month}\b|(?<!\d)(?:{number}|{chinese})月")
    for number, (month, chinese) in enumerate(
        zip(_MONTHS.split(), _CHINESE_MONTHS.split(), strict=True), 1
    )
}
_WORD = re.compile(r"[^\W_](?:[\w'\u2019]*\w)?")
_BEGINS = re.compile(r"(?:^|[.!?:;\n\u2022])[\s\"'(\u201c\u2018-]*$")
_NO_NAMES = frozenset(
    [*_DAYS.split(), *_MONTHS.lower().split(), "i", "eur", "usd", "gbp", "cny", "rmb", "ok"]
)
_COMMON = """
a about accept accepted action add after agenda agree agreed agreement all also an and announce
another any approval approve approved are as ask asked at attendees because before book both
build but buy buying call can change changes check close closing comparison complete confirm
confirmed consider contact continue cost costs could create current customers deadline decide
decided decision decisions define deliver delivery demo deploy describe design details develop
discuss discussed discussion discussions do does document during each estimate everybody
everyone explain explanation few figures file final finalise finalize find finish first fix
follow following for from future get give goal goals greeting greetings group hand has have he
her his how if implement important improve in increase inform introduction introduce invite is
issue issues it its join keep launch lead let list look main make making many market meet
meeting meetings members more most move need needs new next no nobody none not of offer on once
one only open opening operations option order organise organize other our outlook outline
overview owner page pages participants people plan planning plans point points possible prepare
present presentation presenter price prices pricing problem problems proceed product products
progress project proposal propose proposed provide publish purchase put question questions raise
reduce release remarks remove reply report request results return review revenue risk risks
roadmap sales schedule second sell send set several share she ship shall should show slide
slides some somebody someone speaker speakers start status still stop strategy submit suggest
suggestion summary support talk target targets task tasks team test thanks that the their then
there these they third this those time timeline to topic topics try two until update updates
upload use was we welcome were what when where whether which while who whose why will with work
would write yes you your
"""
_OPENERS = frozenset(_COMMON.split())
"""Words with which sentences begin that no name of a person or a product is."""
_SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎"
    "余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文"
)
_CHINESE_NAME = re.compile(
    rf"[{_SURNAMES}][\u4e00-\u9fff]{{1,2}}"
    r"(?=负责|将|会|说|认为|提出|表示|介绍|同意|询问|建议|需要|先生|女士|经理|老师|博士)"
)


def claims(text: str) -> frozenset[str]:
    """Each figure, unit and date of a text by what it means: ``1250``, ``EUR``, ``friday``."""
    whole = unicodedata.normalize("NFKC", text)
    plain = whole.lower()
    found = {unit for unit, form in _UNITS.items() if re.search(form, plain)}
    found |= {date for date, form in _DATES.items() if re.search(form, plain)}
    found |= {month for month, form in _MONTH_NAMES.items() if form.search(whole)}
    return frozenset(found | set(_values(plain)))


def foreign_names(text: str, cited: str, known: Iterable[str]) -> list[str]:
    """Names in ``text`` that ``cited`` does not have.

    A name is a word with a capital, unless it begins a sentence and is a common or a cited word; a
    Chinese surname with what follows, before what persons do; and all that is ``known`` as one.
    Languages that write every noun with a capital have more names than they should.
    """
    plain = unicodedata.normalize("NFKC", cited)
    words = {word[0] for word in _WORD.finditer(plain)}
    folded = {form for word in words for form in _forms(word)}
    ordinary = {word for word in words if word.islower()}
    foreign = []
    normal = unicodedata.normalize("NFKC", text)
    for match in _WORD.finditer(normal):
        word = match[0]
        if not word[0].isupper() or _forms(word) & (folded | _NO_NAMES):
            continue
        begins = _BEGINS.search(normal[: match.start()])
        if not (begins and (word.lower() in _OPENERS or _is_like(word.lower(), ordinary))):
            foreign.append(word)
    foreign += [one[0] for one in _CHINESE_NAME.finditer(normal) if one[0] not in plain]
    return foreign + [name for name in known if _has(normal, name) and not _has(plain, name)]


def is_common(word: str) -> bool:
    """Whether a word in capitals at the begin of a sentence is none of a name."""
    return word.lower() in _OPENERS | _NO_NAMES


def has_phrase(text: str, phrase: str) -> bool:
    """Whether a text has these words in a row, as whole words, in small or large letters."""
    return bool(phrase.strip()) and _has(
        unicodedata.normalize("NFKC", text), unicodedata.normalize("NFKC", phrase)
    )


def _has(text: str, name: str) -> bool:
    form = r"\s+".join(map(re.escape, name.split()))
    # A border stands only beside letters of words with spaces between them.
    before = r"(?<![^\W\u3400-\u9fff])" if re.match(r"[^\W\u3400-\u9fff]", name.strip()) else ""
    after = r"(?![^\W\u3400-\u9fff])" if re.search(r"[^\W\u3400-\u9fff]\s*$", name) else ""
    return bool(form) and bool(re.search(f"{before}{form}{after}", text, re.IGNORECASE))


def _forms(word: str) -> set[str]:
    """A word in small letters, also without the endings of possession and number."""
    small = word.lower()
    return {small, re.sub(r"(?:['\u2019]s?|s)$", "", small)}


def _is_like(word: str, ordinary: Iterable[str]) -> bool:
    """Whether it is a form of an ordinary word, as "Pricing" is of "price"."""
    stem = word[: max(4, len(word) - 3)]
    return len(stem) >= 4 and any(one.startswith(stem) for one in ordinary)  # noqa: PLR2004


def _values(plain: str) -> Iterator[str]:
    text = _CHINESE_DATE.sub(" ", plain)
    for match in _DIGITS.finditer(text):
        if len(match[0]) > _MOST_DIGITS:
            yield match[0]
            continue
        value = Decimal(match[1].replace(",", ""))
        for unit in [match[2]] if match[2] in _LARGE else match[2] or "":
            value = _EXACT.multiply(value, _LARGE.get(unit) or _CHINESE_UNITS[unit])
        yield f"{value.normalize(_EXACT):f}"
    text = _DIGITS.sub(" ", text)
    for match in _ENGLISH.finditer(text):
        words = [word for word in re.split(r"[\s-]+", match[0]) if word != "and"]
        # Alone, "one" stands for somebody or something, and letters are no figures.
        if words != ["one"] and words[0] not in ("k", "m"):
            yield str(_english(words))
    for match in _CHINESE.finditer(text):
        if match[0] not in _NO_FIGURES:
            is_long = len(match[0]) > _MOST_DIGITS
            yield match[0] if is_long else str(_chinese(match[0]))


def _english(words: Iterable[str]) -> int:
    total = current = 0
    for word in words:
        if word in _SMALL:
            current += _SMALL[word]
        elif word == "hundred":
            current = max(1, current) * 100
        else:
            total, current = total + max(1, current) * _LARGE[word], 0
    return total + current


def _chinese(figures: str) -> int:
    total = section = digit = 0
    for figure in figures:
        if figure in _FIGURES:
            digit = 10 * digit + _FIGURES[figure]
        elif (unit := _CHINESE_UNITS[figure]) < 10**4:
            section, digit = section + max(1, digit) * unit, 0
        else:
            total, section, digit = (total + max(1, section + digit)) * unit, 0, 0
    return total + section + digit
