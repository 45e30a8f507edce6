"""A real chromium in front of a real server."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.page_archive import Shown, make_archive
from tests.page_server import served
from tests.videos import number_in

WAIT_S = 60
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
_NAMES = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome")
# A picture of what the video element shows, in the shape of the video.
_PICTURE = """() => {
    const video = document.querySelector("video"), canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const pen = canvas.getContext("2d");
    pen.drawImage(video, 0, 0);
    const {data} = pen.getImageData(0, 0, canvas.width, canvas.height);
    return [canvas.width, canvas.height, [...data].filter((_, i) => i % 4 === 1)];
}"""
_IS_SHOWN = """() => {
    const video = document.querySelector("video");
    return video && video.readyState >= 2 && !video.seeking && video.dataset.mediaS;
}"""


@pytest.fixture(scope="session")
def archive(tmp_path_factory) -> tuple[Path, dict[str, Shown]]:
    return make_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    found = [path for name in _NAMES if (path := shutil.which(name))]
    if not found:
        pytest.skip("no chromium here: apt-get install --no-install-recommends chromium")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=found[0], args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(archive) -> Iterator[str]:
    with served(archive[0]) as (address, _):
        yield address


class Eyes:
    """A page, and what a person would see and do there."""

    def __init__(self, page) -> None:
        self.page = page
        self.errors: list[str] = []
        self.expected: tuple[str, ...] = ()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: said.type == "error" and self.errors.append(said.text))

    def open(self, address: str, query: str = "") -> "Eyes":
        self.page.goto(f"{address}/?lang=en&{query}")
        self.page.wait_for_selector("body[data-ready]")
        return self

    def after_loading(self, act) -> None:
        """Do something that changes what is asked, and wait for the answers."""
        before = self.page.evaluate("document.body.dataset.ready")
        act()
        self.page.wait_for_function("was => document.body.dataset.ready !== was", arg=before)

    def after_saying(self, act) -> None:
        """Do something that is said to the server, and wait until it has taken it down."""
        with self.page.expect_response(lambda r: r.url.endswith("/feedback")) as answer:
            act()
        assert answer.value.status == 201

    def shown_number(self) -> int:
        """The number that is drawn in the frame on screen now.

        While a busy browser opens a clip this may be the first frame of the clip.
        """
        self.page.wait_for_function(_IS_SHOWN)
        width, height, green = self.page.evaluate(_PICTURE)
        return number_in(np.array(green, dtype=np.uint8).reshape(height, width))

    def media_s(self) -> float:
        """The time of the frame on screen in its file, as the player has it."""
        return float(self.page.evaluate("document.querySelector('video').dataset.mediaS"))

    def wait_for_number(self, *numbers: int) -> None:
        """Wait until the frame on screen is one of these, and stays so."""
        self.wait_until(lambda: self.shown_number() in numbers)
        self.page.wait_for_timeout(200)
        assert self.shown_number() in numbers

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Wait for what a busy machine does late; raises AssertionError if it is never so."""
        ends = time.monotonic() + WAIT_S
        while not is_so():
            assert time.monotonic() < ends
            self.page.wait_for_timeout(50)

    def cards(self) -> list[str]:
        return self.page.locator(".card strong").all_inner_texts()


@pytest.fixture
def look(browser):
    """Opens pages; at the end none of them may have had an error."""
    opened = []

    def start(size=DESKTOP, **context) -> Eyes:
        made = browser.new_context(viewport=size, **context)
        made.set_default_timeout(1000 * WAIT_S)
        opened.append((made, Eyes(made.new_page())))
        return opened[-1][1]

    yield start
    for context, eyes in opened:
        context.close()
        errors = [e for e in eyes.errors if not any(one in e for one in eyes.expected)]
        assert errors == []
