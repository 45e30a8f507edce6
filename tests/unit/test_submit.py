"""``timereel submit`` says in one sentence what keeps it from a cluster; work has a name."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from ray.job_submission import JobDetails
from typer.testing import CliRunner

from pipeline.cli.app import app
from pipeline.config import load_config
from pipeline.errors import EXIT_INCOMPLETE, ConfigError, UnreachableError
from pipeline.flow.submission import Driver, _exit_code, _name, submit
from tests.flow.ray_head import free_ports


@pytest.fixture
def answering():
    """Starts servers that give the same answer to everything; their addresses."""
    servers = []

    def start(status: int, body: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def without_a_cluster(monkeypatch):
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    # The command sets it, and it must not outlive a test.
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "")


def error_of(*args: str) -> BaseException | None:
    return CliRunner().invoke(app, ["submit", "/cameras", "--index", "/index", *args]).exception


def test_an_address_where_nobody_listens_is_outstanding_work_and_named():
    (port,) = free_ports(1)
    error = error_of("--cluster", f"http://127.0.0.1:{port}")
    assert isinstance(error, UnreachableError)
    assert f"http://127.0.0.1:{port} does not answer" in str(error)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, "Unauthorized", "RAY_AUTH_TOKEN"),
        (403, "Forbidden", "RAY_AUTH_TOKEN"),
        (200, json.dumps({"ray_version": "1.8.0", "version": "1"}), "Ray version 1.8.0"),
        (200, "<html>a shop</html>", "does not answer as a job server"),
        (404, "", "Version check returned 404"),
        (200, "[]", "does not answer as a job server"),
        (200, "null", "does not answer as a job server"),
        (200, json.dumps({"ray_version": [], "version": "4"}), "does not answer as a job server"),
    ],
)
def test_what_answers_and_takes_no_job_is_an_error_of_the_user_in_one_line(
    answering, status, body, said
):
    error = error_of("--cluster", answering(status, body))
    assert isinstance(error, ConfigError)
    assert said in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "--cluster"),
        (("--cluster", "head:6379"), "http://head:8265"),
        (("--cluster", "http://h", "--shard", "4/3"), "4/3"),
        (("--cluster", "http://h", "--set", "sample.fps=-1"), "sample.fps"),
    ],
)
def test_a_wrong_argument_is_told_before_the_cluster_is_asked(args, said):
    error = error_of(*args)
    assert isinstance(error, ConfigError)
    assert said in str(error)


@pytest.mark.parametrize("answer", [None, [1, 2], {"logs": 5}, [None]])
def test_what_is_no_answer_of_a_job_server_is_told_in_one_sentence(answer):
    with pytest.raises(ConfigError, match="does not answer as a job server"):
        asked(lambda: [JobDetails(**job) for job in answer])


def test_of_what_a_job_server_says_the_first_words_are_told():
    def refuse():
        raise RuntimeError("no\n" * 1_000_000)

    with pytest.raises(ConfigError, match="refuses the job: no no no") as told:
        asked(refuse)
    assert len(str(told.value)) < 500


def asked(list_jobs):
    """Submits work to a server whose first answer ``list_jobs`` reads."""
    client = SimpleNamespace(get_address=lambda: "http://head:8265", list_jobs=list_jobs)
    submit(client, load_config(), [], Driver(num_cpus=0, memory_bytes=0), {})


@pytest.mark.parametrize("code", [0, -9, None, 10**30])
def test_a_job_that_failed_never_ends_with_0(code):
    job = JobDetails(
        type="SUBMISSION", submission_id="s", status="FAILED", entrypoint="", driver_exit_code=code
    )
    assert _exit_code(job, "", lambda _: None) == EXIT_INCOMPLETE


def test_the_same_work_has_one_name_and_a_setting_that_decides_no_answer_does_not_change_it():
    config = load_config()
    work = ["--index", "/index", "--", "/cameras"]
    operational = load_config(None, ("cluster.stall_s=60",))
    assert _name(config, work) == _name(operational, work)
    others = {
        _name(load_config(None, ("sample.fps=2",)), work),
        _name(config, ["--index", "/other", "--", "/cameras"]),
        _name(config, ["--index", "/index", "--shard", "1/2", "--", "/cameras"]),
        _name(config, ["--index", "/index", "--", "/cameras", "/more"]),
    }
    assert len(others | {_name(config, work)}) == 5
