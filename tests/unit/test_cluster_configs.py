"""The cluster examples against Ray's own schema, and against what they name."""

import ast
import re
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest
import typer
import yaml

import timereel
from pipeline import errors
from pipeline.cli.app import app
from pipeline.config import load_config
from pipeline.errors import EXIT_BUDGET, EXIT_INCOMPLETE

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "configs" / "cluster"


def read(name: str) -> dict:
    return yaml.safe_load((CLUSTER / name).read_text())


def commands() -> list[str]:
    """Every command of the examples that runs one of the project's jobs."""
    joined = re.sub(r"\\\n#?", " ", (CLUSTER / "launcher.yaml").read_text())
    return [
        re.search(r"python -m jobs\.index_archive.*", joined)[0],
        read("rayjob.yaml")["spec"]["entrypoint"],
        " ".join(submitting_container()["command"]),
    ]


def submitting_container() -> dict:
    job = read("cronjob.yaml")["spec"]["jobTemplate"]
    return job["spec"]["template"]["spec"]["containers"][0]


def unit(name: str) -> ConfigParser:
    """A systemd unit; its keys keep their case."""
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read(CLUSTER / name)
    return parser


def test_rays_launcher_takes_the_cluster():
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(read("launcher.yaml")))


def test_the_versions_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    spec = read("rayjob.yaml")["spec"]["rayClusterSpec"]
    assert f"ray[data,default]=={spec['rayVersion']}" in project["dependencies"]
    pods = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    images = {pod["template"]["spec"]["containers"][0]["image"] for pod in pods}
    images.add(submitting_container()["image"])
    assert {image.rpartition(":")[2] for image in images} == {timereel.__version__}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_their_commands_name_a_config_and_settings_that_there_are(number):
    words = commands()[number].split()
    assert (ROOT / "jobs" / "index_archive.py").exists()
    config = words[words.index("--config") + 1]
    settings = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
    assert load_config(ROOT / config, tuple(settings)).engine.replicas == 8


def test_every_replica_of_the_model_has_a_pod_with_its_gpus():
    spec = read("rayjob.yaml")["spec"]
    (model,) = [g for g in spec["rayClusterSpec"]["workerGroupSpecs"] if g["groupName"] == "model"]
    limits = model["template"]["spec"]["containers"][0]["resources"]["limits"]
    config = load_config(ROOT / "configs" / "surveillance.yaml", ("engine.replicas=8",))
    assert model["replicas"] * int(limits["nvidia.com/gpu"]) == config.num_gpus


def options_of(command: str) -> list[str]:
    return re.findall(r"(?<= )--[a-z-]+", command)


def test_every_schedule_calls_the_command_with_options_that_there_are():
    index = typer.main.get_command(app).commands["index"]
    known = {name for parameter in index.params for name in parameter.opts}
    service = (CLUSTER / "timereel.service").read_text()
    calls = re.findall(r"timereel (index .*)", service)
    assert len(calls) == 3
    for call in calls:
        assert set(options_of(call)) <= known, call


def test_the_cron_job_of_kubernetes_submits_with_options_that_there_are():
    submit = typer.main.get_command(app).commands["submit"]
    known = {name for parameter in submit.params for name in parameter.opts}
    command = " ".join(submitting_container()["command"])
    assert command.startswith("timereel submit ")
    assert set(options_of(command)) <= known


@pytest.mark.parametrize(("service", "name"), [("index", "index"), ("page", "serve")])
def test_docker_compose_runs_commands_with_options_that_there_are_and_nothing_as_root(
    service, name
):
    compose = read("compose.yaml")
    one = compose["services"][service]
    program, command, *_ = one["command"]
    known = {o for p in typer.main.get_command(app).commands[name].params for o in p.opts}
    assert (program, command) == ("timereel", name)
    assert set(options_of(" ".join(one["command"]))) <= known
    assert one["image"] == f"registry.example.com/timereel:{timereel.__version__}-cpu"
    assert one["cap_drop"] == ["ALL"]
    assert one["read_only"] is True
    root = (CLUSTER / one["build"]["context"]).resolve()
    assert root == ROOT
    assert (root / one["build"]["dockerfile"]).is_file()
    assert f"AS {one['build']['target']}\n" in dockerfile()


def dockerfile() -> str:
    return (CLUSTER / "Dockerfile").read_text()


def test_every_image_is_made_of_files_and_extras_that_there_are_and_runs_as_nobody_special():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = re.findall(r"'\.\[(.*)\]'", dockerfile())
    assert len(extras) == 2
    assert {extra for some in extras for extra in some.split(",")} <= set(
        project["optional-dependencies"]
    )
    copied = [
        w
        for line in re.findall(r"^COPY (.*) \S+$", dockerfile(), re.MULTILINE)
        for w in line.split()
    ]
    assert all((ROOT / name).exists() for name in copied)
    ignored = (CLUSTER / "Dockerfile.dockerignore").read_text().splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == set(copied)
    for image in re.split(r"^FROM ", dockerfile(), flags=re.MULTILINE)[2:]:
        assert "USER 10001" in image
    assert f"timereel:{timereel.__version__}-cpu" in dockerfile()


def test_what_the_next_run_mends_is_no_failure_of_the_service_and_all_else_is():
    service = unit("timereel.service")["Service"]
    codes = {int(code) for code in service["SuccessExitStatus"].split()}
    assert codes == {EXIT_BUDGET, EXIT_INCOMPLETE}
    assert service["Type"] == "oneshot"  # a timer never starts it a second time beside itself


def test_the_timer_starts_the_service_of_its_name():
    timer = unit("timereel.timer")
    assert timer["Install"]["WantedBy"] == "timers.target"
    assert (CLUSTER / "timereel.service").exists()


def called(name: str) -> dict[str, ast.Call]:
    """The calls in a Python example, by what is called; the last of each."""
    tree = ast.parse((CLUSTER / name).read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {ast.unparse(call.func): call for call in calls}


def argument(call: ast.Call, name: str) -> object:
    return next(ast.literal_eval(word.value) for word in call.keywords if word.arg == name)


def test_airflow_and_dagster_submit_once_with_options_that_there_are_and_leave_6_and_7():
    commands = typer.main.get_command(app).commands
    known = {name for parameter in commands["submit"].params for name in parameter.opts}
    airflow, dagster = called("airflow_dag.py"), called("dagster_definitions.py")
    tree = ast.parse((CLUSTER / "dagster_definitions.py").read_text())
    constants = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id.isupper()
    }
    command = argument(airflow["BashOperator"], "bash_command")
    assert constants["COMMAND"] == command
    assert command.startswith("timereel submit ")
    assert set(options_of(command)) <= known
    assert set(argument(airflow["BashOperator"], "skip_on_exit_code")) == {6, 7}
    assert set(constants["FOR_THE_NEXT_RUN"]) == {EXIT_BUDGET, EXIT_INCOMPLETE}
    # A second try would end with 0, since it knows what failed in the first.
    assert argument(airflow["DAG"], "default_args") == {"retries": 0}
    assert argument(dagster["Failure"], "allow_retries") is False
    assert argument(dagster["ScheduleDefinition"], "cron_schedule") == "7 * * * *"


def test_the_ray_cron_job_has_the_fields_of_its_kind_and_a_command_that_there_is():
    spec = read("raycronjob.yaml")["spec"]
    # All that KubeRay 1.6 knows; it cannot forbid that two runs overlap.
    assert set(spec) <= {"jobTemplate", "schedule", "suspend", "timeZone"}
    job = spec["jobTemplate"]
    assert job["backoffLimit"] == 0
    assert job["activeDeadlineSeconds"] > 0
    index = typer.main.get_command(app).commands["index"]
    known = {name for parameter in index.params for name in parameter.opts}
    assert set(options_of(job["entrypoint"].partition("timereel index")[2])) <= known
    assert "rayClusterSpec" not in job  # KubeRay allows that or a clusterSelector
    assert "shutdownAfterJobFinishes" not in job  # the cluster stands


def test_the_page_for_operators_says_what_to_do_after_each_exit_code_and_names_files_there_are():
    text = (ROOT / "docs" / "operations.md").read_text()
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)} == codes
    links = re.findall(r"\]\(([^)#]+)", text)
    assert links
    assert all((ROOT / "docs" / link).is_file() for link in links)
