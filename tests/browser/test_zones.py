"""Zones are drawn into a picture of a camera, and are text for the user's config."""

import pytest

from pipeline.config import ZoneConfig, load_config
from tests.browser.conftest import PHONE
from tests.page_archive import make_archive
from tests.page_server import served

pytestmark = pytest.mark.browser

ROTATED = "tab=zones&moment=2026-03-01T08:00:03Z+rotated"
GONE = "tab=zones&moment=2026-03-01T08:01:03Z+avi"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of two cameras: a video that stands on its side, and one whose file is gone."""
    folder = tmp_path_factory.mktemp("zones")
    root, _ = make_archive(folder, ("rotated", "avi"))
    (folder / "old.avi").unlink()
    with served(root) as (address, _):
        yield address


def on_screen(eyes, place):
    box = eyes.page.locator(".field").bounding_box()
    return box["x"] + place[0] * box["width"], box["y"] + place[1] * box["height"]


def corners_drawn(eyes, number=0):
    """The corners of a shape in the picture."""
    points = eyes.page.locator("svg .edge").nth(number).get_attribute("points")
    return tuple(tuple(float(one) for one in point.split(",")) for point in points.split())


def zones_in(text, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path).zones


def barriers(eyes):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(eyes.page, options=RULES).response["violations"]
    return [(one["id"], one["nodes"][0]["html"]) for one in found]


def test_what_mouse_and_keys_draw_is_copied_and_means_the_same_in_a_config(look, site, tmp_path):
    allowed = ["clipboard-read", "clipboard-write"]
    eyes = look(bypass_csp=True, permissions=allowed).open(site, ROTATED)
    page = eyes.page
    page.wait_for_function("() => document.querySelector('.field img')?.naturalHeight === 160")
    wanted = [(0.2, 0.3), (0.8, 0.3), (0.9, 0.9), (0.1, 0.9)]
    for place in wanted:
        page.mouse.click(*on_screen(eyes, place))
    page.mouse.move(*on_screen(eyes, wanted[2]))
    page.mouse.down()
    page.mouse.move(*on_screen(eyes, (1.02, 1.04)))
    page.mouse.up()
    page.get_by_label("Name", exact=True).fill('gate "1": yes')
    page.get_by_label("Only these labels").fill("person, 车")
    page.get_by_label("who leaves").check()
    page.get_by_label("Loiters").fill("2.5")
    page.get_by_label("Counts").fill("3")
    assert corners_drawn(eyes)[2] == (1, 1)
    for drawn, place in zip(corners_drawn(eyes)[:2], wanted, strict=False):
        assert drawn == pytest.approx(place, abs=0.005)

    page.get_by_role("button", name="+ Line").press("Enter")
    page.get_by_role("button", name="+ Corner").press("Enter")
    for key in ("Enter", "Enter", "Delete", "ArrowRight", "ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    page.get_by_role("button", name="Corner 2: 0.72, 0.601").wait_for()
    page.get_by_role("button", name="+ Zone").click()
    page.get_by_text("left out: it needs three different corners").wait_for()
    assert barriers(eyes) == []

    page.get_by_role("button", name="Copy").press("Enter")
    page.get_by_text("Copied").wait_for()
    drawn = corners_drawn(eyes)
    assert zones_in(page.evaluate("navigator.clipboard.readText()"), tmp_path) == {
        'gate "1": yes': ZoneConfig(
            camera="rotated",
            polygon=drawn,
            labels=("person", "车"),
            rules=("enters", "leaves"),
            loiters_s=2.5,
            min_count=3,
        ),
        "line1": ZoneConfig(camera="rotated", line=((0.3, 0.6), (0.72, 0.601))),
    }
    page.reload()
    page.locator("pre.yaml").wait_for()
    assert corners_drawn(eyes) == drawn


def test_fingers_draw_also_where_a_camera_has_no_picture(look, site, tmp_path):
    eyes = look(PHONE, has_touch=True, bypass_csp=True)
    eyes.expected = ("404",)
    eyes.open(site, f"{GONE}&theme=dark")
    eyes.page.get_by_text("There is no picture of this camera").wait_for()
    eyes.page.locator(".field").scroll_into_view_if_needed()
    for place in [(0.2, 0.3), (0.8, 0.3), (0.9, 0.9)]:
        eyes.page.touchscreen.tap(*on_screen(eyes, place))
    box = eyes.page.locator(".field").bounding_box()
    assert box["width"] / box["height"] == pytest.approx(160 / 96, rel=0.01)
    zones = zones_in(eyes.page.locator("pre.yaml").inner_text(), tmp_path)
    assert zones["zone1"].polygon == corners_drawn(eyes)
    assert zones["zone1"].is_of("avi")
    assert barriers(eyes) == []
