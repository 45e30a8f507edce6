"""Whatever rows an index of somebody else holds: the page answers each request with a sentence."""

import httpx
import pytest

from tests.hostile_rows import KINDS, hostile_index
from tests.index_rows import at
from tests.page_server import served

RANGE = {"start": at(0).isoformat(), "end": at(700).isoformat()}
ASKED = {
    "event_id": "e1",
    "event": "e1",
    "video_id": "v1",
    "slide_id": "s1",
    "camera": "cam1",
    "words": "car",
    "at": at(12).isoformat(),
    "start_ns": "0",
    "end_ns": "1000000000",
    "limit": "60",
    **RANGE,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a server of one index of each kind, and its description of itself."""
    folder = tmp_path_factory.mktemp("page")
    indexes = [hostile_index(folder / kind, kind) for kind in KINDS]
    with served(*indexes) as (address, _), httpx.Client(base_url=address, timeout=60) as client:
        yield client, client.get("/openapi.json").json()["paths"]


def addresses(paths):
    """Every address that can be read, with all that it may be asked, and with what it must be."""
    for path, methods in paths.items():
        if "get" not in methods:
            continue
        given = [one for one in methods["get"].get("parameters", []) if one["name"] in ASKED]
        for chosen in (given, [one for one in given if one["required"]]):
            query = {one["name"]: ASKED[one["name"]] for one in chosen if one["in"] == "query"}
            yield path.format(**ASKED), query


DAMAGE = {"numbers", "everything"}
"""Such rows hold what no timereel writes, so the index is refused."""
IN_A_CHILD = ("clip.mp4", "frames", "picture.webp")


@pytest.mark.parametrize("kind", KINDS)
def test_no_row_makes_the_page_answer_with_a_bug(server, kind):
    client, paths = server
    num_answered = 0
    for path, query in addresses(paths):
        if path.endswith(IN_A_CHILD) and kind != "nothing":
            continue  # a process for each, which finds no recording
        answer = client.get(path, params=query | {"index": kind})
        if answer.status_code == 500:
            assert kind in DAMAGE, path
            assert answer.json()["kind"] == "IndexDamagedError", path
        num_answered += answer.status_code == 200
        assert "Traceback" not in answer.text
    assert num_answered > 10
