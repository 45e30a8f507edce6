"""What a person finds, says and sees on the page."""

import shutil

import pytest

import pipeline.index as pi
from tests.browser.conftest import DESKTOP, PHONE
from tests.page_archive import HOSTILE
from tests.page_server import modules_of, served

pytestmark = pytest.mark.browser


@pytest.fixture
def own_site(archive, tmp_path):
    """An index that a test may write to, and the address of its server."""
    root, shown = shutil.copytree(archive[0], tmp_path / "index"), archive[1]
    with served(root) as (address, _):
        yield root, shown, address


def test_the_list_has_all_events_and_a_search_finds_those_with_the_words(look, site):
    eyes = look().open(site)
    assert len(eyes.cards()) == 9
    eyes.page.keyboard.press("/")
    eyes.page.keyboard.type("door")
    eyes.after_loading(lambda: eyes.page.keyboard.press("Enter"))
    hits = eyes.page.locator(".hits a")
    hits.first.wait_for()
    assert hits.count() == 4
    assert {one.lower() for one in eyes.page.locator("mark").all_inner_texts()} == {"door"}
    hits.nth(1).click()
    title, address = eyes.page.locator(".title").inner_text(), eyes.page.url
    assert title in hits.nth(1).inner_text()
    eyes.page.get_by_role("tab", name="Events").click()
    assert len(eyes.cards()) == 4
    assert all("door" in text for text in eyes.cards())
    again = look().open(site, address.partition("?")[2])
    assert again.page.locator(".title").inner_text() == title


def test_a_search_may_name_cameras_or_a_time(look, site):
    eyes = look().open(site)
    eyes.page.keyboard.press("/")
    eyes.page.keyboard.type("cam:v* something")
    eyes.after_loading(lambda: eyes.page.keyboard.press("Enter"))
    eyes.page.get_by_role("tab", name="Events").click()
    assert eyes.cards() == [] or all("vfr" in text for text in eyes.cards())
    eyes.page.keyboard.press("/")
    eyes.page.keyboard.type("08:01:05")
    eyes.after_loading(lambda: eyes.page.keyboard.press("Enter"))
    assert "from=2026-03-01T08%3A00%3A35Z" in eyes.page.url


def test_from_loading_to_a_confirmed_event_with_keys_alone(own_site, look):
    root, shown, address = own_site
    eyes = look().open(address)
    for key in ("j", "j"):
        eyes.page.keyboard.press(key)
    eyes.shown_number()
    eyes.after_saying(lambda: eyes.page.keyboard.press("y"))
    eyes.page.locator(".mark-of.confirmed").wait_for()
    [row] = pi.open(root).reviews().to_pylist()
    assert (row["verdict"], row["event_id"]) == ("confirmed", shown["avi"].event_id)
    eyes.after_saying(lambda: eyes.page.keyboard.press("u"))
    eyes.page.locator(".mark-of.confirmed").wait_for(state="detached")
    eyes.after_saying(lambda: eyes.page.keyboard.press("n"))
    eyes.page.locator(".mark-of.rejected").wait_for()
    [row] = pi.open(root).reviews().to_pylist()
    assert row["verdict"] == "rejected"


def test_a_correction_and_a_missed_event_are_rows_and_events_can_be_chosen_by_state(own_site, look):
    root, shown, address = own_site
    eyes = look().open(address, f"event={shown['vfr'].event_id}")
    eyes.page.keyboard.press("e")
    eyes.page.locator("input[name=label]").fill("delivery")
    eyes.after_saying(lambda: eyes.page.get_by_role("button", name="Save").click())
    eyes.page.locator(".mark-of.corrected").wait_for()
    eyes.page.keyboard.press("m")
    eyes.page.locator("input[name=label]").fill("fall")
    eyes.after_saying(lambda: eyes.page.get_by_role("button", name="Save").click())
    index = pi.open(root)
    rows = {row["verdict"]: row for row in index.reviews().to_pylist()}
    event = index.event(shown["vfr"].event_id)
    corrected, missed = rows["corrected"], rows["missed"]
    assert (corrected["label"], corrected["was_label"]) == ("delivery", event["label"])
    assert (corrected["start"], corrected["end"]) == (event["start"], event["end"])
    assert (missed["camera"], missed["label"], missed["was_label"]) == ("vfr", "fall", None)
    state = eyes.page.get_by_label("Review").locator("visible=true").last
    eyes.after_loading(
        lambda: eyes.page.locator("select[aria-label=Review]").select_option("corrected")
    )
    assert state
    assert len(eyes.cards()) == 1


def test_every_view_is_an_address(look, site):
    eyes = look().open(site)
    eyes.page.locator(".card").nth(3).click()
    eyes.after_loading(eyes.page.get_by_role("button", name="motion").first.click)
    cards = eyes.cards()
    assert eyes.page.url.count("event=") == 1
    again = look().open(eyes.page.url.partition("/?")[0], eyes.page.url.partition("?")[2])
    assert again.cards() == cards
    assert again.page.locator(".title").inner_text() == eyes.page.locator(".title").inner_text()


def test_hostile_text_is_text(look, site):
    eyes = look().open(site, "event=e-large")
    assert eyes.page.locator(".title").inner_text().startswith("<img src=x")
    eyes.page.wait_for_timeout(200)
    assert eyes.page.evaluate("window.stolen") is None
    assert HOSTILE[:20] in eyes.cards()[0]
    injected = """() => {
        const script = document.createElement("script");
        script.textContent = "window.stolen = 1";
        document.head.append(script);
        return window.stolen ?? null;
    }"""
    eyes.expected = ("Content Security Policy", "Content-Security-Policy")
    assert eyes.page.evaluate(injected) is None


def test_both_languages_have_the_same_texts(look, site):
    eyes = look().open(site)
    texts = f"{modules_of(site)}/texts.js"
    languages = eyes.page.evaluate("url => import(url).then(m => m.TEXTS)", texts)
    assert set(languages["en"]) == set(languages["zh"])
    assert all(text.strip() for texts in languages.values() for text in texts.values())
    eyes.page.get_by_role("button", name="中文").click()
    eyes.page.get_by_role("tab", name="事件").wait_for()
    assert eyes.page.evaluate("document.documentElement.lang") == "zh-CN"


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_stands_in_the_way_of_those_who_do_not_see_well(look, site, theme, size):
    from axe_playwright_python.sync_playwright import Axe

    eyes = look(size, bypass_csp=True).open(site, f"theme={theme}&event=e-vfr")
    eyes.shown_number()
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}
    for tab in ("", "Coverage", "Runs"):
        if tab:
            eyes.page.get_by_role("tab", name=tab).click()
            eyes.page.wait_for_timeout(300)
        found = Axe().run(eyes.page, options=rules).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


def test_the_coverage_and_the_runs_are_tables(look, site):
    eyes = look().open(site, "tab=coverage")
    assert eyes.page.locator("tbody tr").count() == 9
    eyes.page.get_by_text("No recording failed.").wait_for()
    eyes.page.get_by_role("tab", name="Runs").click()
    eyes.page.get_by_text("No runs.").wait_for()


def test_the_years_of_a_long_archive_stand_apart_on_a_phone(look, site):
    years = (
        look(PHONE)
        .open(site)
        .page.evaluate("""async () => {
        const times = await import(new URL("times.js", document.querySelector("script").src));
        const range = ["2008-08-28T00:00:00Z", "2027-03-07T00:00:00Z"].map(times.parse);
        return times.ticks(...range, 340, 64, "UTC").map(tick => tick.text);
    }""")
    )
    assert years == ["2010-01", "2015-01", "2020-01", "2025-01"]
