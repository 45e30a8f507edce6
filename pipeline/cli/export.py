"""``timereel export``: events as files of other tools."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, get_args

import typer

from pipeline.cli.options import (
    CameraOption,
    ConfigOption,
    FromOption,
    IndexOption,
    SetOption,
    ToOption,
)
from pipeline.cli.terminal import echo
from pipeline.errors import EXIT_SOME_FAILED, ConfigError, NoSourcesError
from pipeline.index import open_index
from pipeline.records.file_names import file_name
from pipeline.tables.schema import AskedTable
from pipeline.timebase import seconds_to_ns

if TYPE_CHECKING:
    from pipeline.clips.training_rows import TrainingFormat
    from pipeline.index import Index, QueryOptions

app = typer.Typer()

ExportFormat: TypeAlias = Literal[
    "parquet", "otio", "edl", "activitynet", "qvhighlights", "coco", "mot",
    "label-studio", "cvat", "drawio", "qwen", "ms-swift", "llamafactory",
]  # fmt: skip
_FORMATS_HELP = (
    "parquet: a file per table and UTC date. otio, edl: an edit list. activitynet, qvhighlights,"
    " coco, mot: datasets. label-studio, cvat: to be corrected by people. drawio: the flow charts"
    " of boards. qwen, ms-swift, llamafactory: training data of judged events."
)


@app.command()
def export(
    target: Annotated[
        Path,
        typer.Argument(help="A file; a folder if the format has several files."),
    ],
    index_uri: IndexOption,
    start: FromOption = None,
    end: ToOption = None,
    camera: CameraOption = None,
    label: Annotated[list[str] | None, typer.Option("--label", help="Events of a label.")] = None,
    text: Annotated[
        str | None, typer.Option("--text", help="Events with this in their text.")
    ] = None,
    pad: Annotated[
        float, typer.Option("--pad", metavar="S", min=0, max=3600, help="Seconds around events.")
    ] = 0.0,
    form: Annotated[ExportFormat, typer.Option("--format", help=_FORMATS_HELP)] = "parquet",
    config: ConfigOption = None,
    overrides: SetOption = None,
) -> None:
    """Write events for other tools; a file or folder is whole or absent."""
    index = open_index(index_uri)
    options: QueryOptions = {"camera": camera, "label": label, "text": text}
    match form:
        case "parquet":
            if label or text:
                raise ConfigError("parquet holds whole tables; leave out --label and --text")
            _parquet(index, target, start, end, camera)
        case "otio" | "edl":
            from pipeline.clips.edit_list import write_edit_list  # noqa: PLC0415
            from pipeline.clips.plan import cuts_around  # noqa: PLC0415

            rows = index.events(start, end, **options).to_pylist()
            cuts = cuts_around(index, rows, seconds_to_ns(pad))
            write_edit_list(str(target), cuts)
            echo(f"{len(cuts)} cuts in {target}", err=True)
        case "qwen" | "ms-swift" | "llamafactory":
            if any((start, end, camera, label, text)):
                raise ConfigError(f"{form} takes all that people have judged; leave out filters")
            _training(index, str(target), form, seconds_to_ns(pad), config, overrides)
        case _:
            _dataset(index, target, form, start, end, options)


def _parquet(
    index: "Index", target: Path, start: str | None, end: str | None, camera: list[str] | None
) -> None:
    from pipeline.export.parquet_folder import write_parquet_folder  # noqa: PLC0415
    from pipeline.index.by_date import rows_by_date  # noqa: PLC0415

    parts = (
        (f"{table}/{name}.parquet", rows)
        for table in get_args(AskedTable)
        for name, rows in rows_by_date(index, table, start, end, camera=camera)
    )
    about = {
        "index": index.store.root,
        "from": start or "",
        "to": end or "",
        "camera": ", ".join(camera or ()),
    }
    num_rows = write_parquet_folder(target, parts, about)
    echo(f"{num_rows} rows in {target}", err=True)


def _dataset(
    index: "Index",
    target: Path,
    form: ExportFormat,
    start: str | None,
    end: str | None,
    options: "QueryOptions",
) -> None:
    from pipeline.export import annotation, datasets, flow_chart  # noqa: PLC0415
    from pipeline.export.formats import to_json  # noqa: PLC0415

    if form in {"coco", "mot", "cvat", "label-studio"}:  # the boxes of an object once
        options = options | {"zone": "none"}
    events = index.events(start, end, **options).to_pylist()
    if not events:
        raise NoSourcesError("no event matches; timereel query lists what there is")
    rows = index.videos(camera=options["camera"]).to_pylist()
    if form == "drawio":
        if not (text := flow_chart.drawio(events)):
            raise NoSourcesError("no event has a flow chart; the task whiteboard reads them")
        _write({target: text})
        return
    videos = {row["video_id"]: datasets.Footage.of_row(row) for row in rows if row["num_frames"]}
    match form:
        case "activitynet":
            files = {target: to_json(datasets.activitynet(events, videos))}
        case "qvhighlights":
            lines = datasets.qvhighlights(events, videos)
            files = {target: "".join(f"{to_json(line)}\n" for line in lines)}
        case "coco":
            files = {target: to_json(datasets.coco(events, videos))}
        case "label-studio":
            tasks = annotation.label_studio(events, videos)
            files = {
                target / "tasks.json": to_json(tasks),
                target / "config.xml": annotation.label_studio_config(events),
            }
        case "cvat":
            texts = annotation.cvat(events, videos)
            files = {target / f"{file_name(name)}.xml": text for name, text in texts.items()}
        case _:
            texts = datasets.mot(events, videos)
            files = {target / f"{file_name(name)}.txt": text for name, text in texts.items()}
    _write(files)


def _write(files: dict[Path, str]) -> None:
    from pipeline.storage.targets import staged  # noqa: PLC0415

    for path, text in files.items():
        with staged(str(path)) as part:
            part.write_text(text, encoding="utf-8")
        echo(f"{path}", err=True)
    if not files:
        raise NoSourcesError("no event of these has boxes; set boxes: true in the task")


def _training(
    index: "Index",
    folder: str,
    form: "TrainingFormat",
    pad_ns: int,
    config: Path | None,
    overrides: list[str] | None,
) -> None:
    from pipeline.clips import make, training_rows  # noqa: PLC0415
    from pipeline.config import load_config  # noqa: PLC0415

    settings = load_config(config, tuple(overrides or ()))
    how = make.How(
        mode="exact",
        is_captioned=False,
        decode=settings.decode,
        access=settings.sources.access,
    )
    samples = training_rows.samples_of(index, folder, pad_ns=pad_ns)
    orders = [sample.order for sample in samples]
    clips, failures = make.make_clips(orders, how, lambda _written_s, _all_s: None)
    made = {clip.target for clip in clips}
    training_rows.write_samples(
        folder, [sample for sample in samples if sample.order.target in made], form
    )
    echo(f"{len(made)} samples in {folder}", err=True)
    for target, error in failures:
        echo(f"{target}: not made: {error}", err=True)
    if failures:
        raise typer.Exit(EXIT_SOME_FAILED)
