"""The report in a real browser: nothing is loaded, nothing fails, and it prints on A4."""

import re

import pytest

from pipeline.index import open_index
from pipeline.report.content import read_report
from pipeline.report.pictures import candidates
from pipeline.report.render import page_within
from pipeline.report.scores import page_of_scores
from tests.browser.conftest import DESKTOP, PHONE
from tests.unit.test_scores_page import FIGURES

# Times of the line that reach beyond its end; hidden ones have no place.
_NUM_CUT_TIMES = """() => [...document.querySelectorAll(".line text")].filter(text =>
    text.getBoundingClientRect().right > text.ownerSVGElement.getBoundingClientRect().right
).length"""


@pytest.fixture(scope="module")
def report(archive, tmp_path_factory):
    index = open_index(archive[0])
    content = read_report(index, None, None, None)
    pictures = candidates(index, content.events)
    text, _ = page_within(content, pictures, 10**6, name="archive", language="zh")
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(text, encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_opens_offline_and_can_be_read_by_everybody(look, report, theme, size):
    from axe_playwright_python.sync_playwright import Axe

    eyes = look(size, color_scheme=theme, offline=True, bypass_csp=True)
    asked = []
    eyes.page.on("request", lambda request: asked.append(request.url))
    eyes.page.goto(report)
    assert [url for url in asked if not url.startswith("data:")] == [report]
    assert eyes.page.evaluate("document.documentElement.scrollWidth") == size["width"]
    assert eyes.page.evaluate(_NUM_CUT_TIMES) == 0
    found = Axe().run(eyes.page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


def test_its_own_style_is_allowed_and_it_prints_on_a4(look, report):
    eyes = look()
    eyes.page.goto(report)
    assert eyes.page.evaluate("getComputedStyle(document.body).maxWidth") == "1120px"
    pdf = eyes.page.pdf(prefer_css_page_size=True, print_background=True)
    width, height = map(float, re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf).groups())
    assert (round(width), round(height)) == (595, 842)
    assert len(re.findall(rb"/Type /Page\b", pdf)) >= 1


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_of_scores_can_be_read_by_everybody(look, tmp_path, theme, size):
    from axe_playwright_python.sync_playwright import Axe

    path = tmp_path / "scores.html"
    curve = {"map": {"0.5": 0.7, "average": 0.5}, "between": [-0.1, 0.3], "difference": 0.1}
    path.write_text(page_of_scores(FIGURES | curve, truth="truth.json", found="found.json"))
    eyes = look(size, color_scheme=theme, offline=True, bypass_csp=True)
    eyes.page.goto(path.as_uri())
    assert eyes.page.evaluate("document.documentElement.scrollWidth") == size["width"]
    found = Axe().run(eyes.page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
