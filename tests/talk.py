"""Talk over generated decks, of which it is known what is on the screen and what it is about."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.demo.deck import DeckPage, ShownDeck
from pipeline.records import Utterance, make_id
from pipeline.timebase import TimeRange

Language = Literal["en", "zh"]

_PAIRS = """
agenda 议程, project 项目, progress 进度, market 市场, data 数据, product 产品, price 价格,
risks 风险, and 和, mitigation 对策, hiring 招聘, plan 计划, delivery 交付, status 状态,
sales 销售额, by 按, region 地区, discounts 折扣, next 接下来的, steps 步骤,
roadmap 路线图, for 的, spring 春季, voice 声音, of 的, customers 客户, revenue 收入,
growth 增长, customer 客户, churn 流失, latency 延迟, launch 发布, budget 预算,
partner 伙伴, supply 供应, demand 需求, quality 质量, margin 利润, pilot 试点, audit 审计,
security 安全, release 版本发布, backlog 积压, sprint 冲刺, vendor 供应商, contract 合同,
survey 调查, pricing 定价, forecast 预测
"""
_CHINESE = dict(pair.split() for pair in _PAIRS.split(","))
_TITLES = {
    "项目进展": "Project progress",
    "市场数据": "Market data",
    "产品价格": "Product price",
    "客户反馈": "Customer feedback",
}
_BY_TITLE = {
    "en": (
        "Let us come back to {}.",
        "What about {}, is that still right?",
        "This belongs to {}.",
        "Before that, a word on {}.",
    ),
    "zh": ("我们再回到{}。", "那{}呢\uff0c还对吗\uff1f", "这属于{}。", "先说一句{}。"),
}
_BY_LINE = {
    "en": (
        "We said that {} would be at {} percent.",
        "I still do not believe {} at {}%.",
        "Remember {}, that was {} percent.",
    ),
    "zh": ("我们说过{}是{}%。", "我还是不信{}能到{}%。", "记得{}吗\uff0c那是{}%。"),
}
_BY_NUMBER = {
    "en": ("As slide {} says, we are late.", "Can you go back to page {}?", "See slide number {}."),
    "zh": ("就像第{}页说的\uff0c我们晚了。", "能回到第{}页吗\uff1f", "请看第{}页。"),
}
_SMALL_TALK = {
    "en": (
        "Can everybody hear me?", "Thank you, that is a good question.", "I agree with you.",
        "Let us take a break of ten minutes.", "Sorry, I was on mute.", "Who wants to go first?",
        "Could you say that again, please?", "We will talk about this after lunch.",
    ),
    "zh": (
        "大家听得到吗\uff1f", "谢谢\uff0c这个问题很好。", "我同意你的看法。", "我们休息十分钟吧。",
        "对不起\uff0c我刚才静音了。", "谁先来\uff1f", "请再说一遍。", "午饭后我们再谈这个。",
    ),
}  # fmt: skip
_WORDS_LOST = 0.1
"""As a recogniser does."""
_SECONDS = (1.5, 4.5)
_PAUSE_S = (0.3, 1.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One sentence and the truth about it."""

    utterance: Utterance
    on_screen: int
    """Number of the page in the deck."""
    about: int
    """The same; the page on the screen, if the sentence is not about another one."""
    sign: str
    """How it tells what it is about: number, title, line; "" for small talk."""


def talk_over(shown: ShownDeck, seed: int, language: Language) -> list[Told]:
    """Sentences one after the other, whatever is on the screen; a third are about other pages.

    Args:
        shown: the deck, and when each page is on the screen.
        seed: of all chances.
        language: that people speak, whatever the deck is written in.
    """
    chance = random.Random(f"{seed} {language}")
    told, at_s = [], chance.uniform(*_PAUSE_S)
    while (end_s := at_s + chance.uniform(*_SECONDS)) < shown.showings[-1].end_s:
        on_screen = _on_screen(shown, at_s, end_s)
        kind = chance.random()
        if kind < 1 / 4:
            about, sign, text = on_screen, "", chance.choice(_SMALL_TALK[language])
        else:
            others = [n for n in range(1, len(shown.pages) + 1) if n != on_screen]
            about = chance.choice(others) if kind < 2 / 3 - 1 / 12 else on_screen
            sign = chance.choice(("number", "title", "line"))
            text = _sentence(chance, shown.pages, about, sign, language)
        told.append(
            Told(
                utterance=_utterance(at_s, end_s, text, language),
                on_screen=on_screen,
                about=about,
                sign=sign,
            )
        )
        at_s = end_s + chance.uniform(*_PAUSE_S)
    return told


def _on_screen(shown: ShownDeck, start_s: float, end_s: float) -> int:
    overlaps: dict[int, float] = {}
    for one in shown.showings:
        overlap_s = min(one.end_s, end_s) - max(one.start_s, start_s)
        overlaps[one.page] = max(overlap_s, overlaps.get(one.page, 0.0))
    return max(overlaps, key=lambda page: overlaps[page])


def _sentence(
    chance: random.Random, pages: Sequence[DeckPage], about: int, sign: str, language: Language
) -> str:
    if sign == "number":
        return chance.choice(_BY_NUMBER[language]).format(about)
    page = pages[about - 1]
    titles = [one.title for one in pages]
    if sign == "title" and titles.count(page.title) == 1:
        return chance.choice(_BY_TITLE[language]).format(_spoken(page.title, language))
    of_others = {line for one in pages if one is not page for line in one.lines}
    words, _, figure = chance.choice(
        [one for one in page.lines if one not in of_others]
    ).rpartition(" ")
    kept = [word for word in _split(words) if chance.random() >= _WORDS_LOST]
    spoken = _spoken(" ".join(kept), language)
    return chance.choice(_BY_LINE[language]).format(spoken, figure.rstrip("%"))


def _split(words: str) -> list[str]:
    """Words; Chinese ones of decks have two letters."""
    if words.isascii():
        return words.split()
    return [words[at : at + 2] for at in range(0, len(words), 2)]


def _spoken(written: str, language: Language) -> str:
    if language == "zh":
        if not written.isascii():
            return written.replace(" ", "")
        return "".join(_CHINESE[word] for word in written.lower().split())
    if written in _TITLES:
        return _TITLES[written].lower()
    english = {chinese: word for word, chinese in _CHINESE.items()}
    return " ".join(english.get(word, word) for word in written.lower().split())


def _utterance(start_s: float, end_s: float, text: str, language: str) -> Utterance:
    span = TimeRange(round(start_s * 1e9), round(end_s * 1e9))
    return Utterance(
        utterance_id=make_id("told", start_s, text),
        camera="c",
        video_id="v1",
        uri="v1.mp4",
        span=span,
        media=span,
        track=0,
        speaker="",
        language=language,
        text=text,
        words=(),
        confidence=None,
        window_ids=(),
    )
