"""Lets a model write minutes of a recording, as a run that others can see. No Ray here."""

from pipeline.config import Config
from pipeline.engine import open_text_model
from pipeline.errors import EXIT_OK, SummaryError
from pipeline.flow.driver.run_identity import new_run
from pipeline.index import Writer, apply_orders, open_index
from pipeline.index.lease import take_lease
from pipeline.meetings.recording import read_recording
from pipeline.meetings.written import stored_minutes, write
from pipeline.minutes import Writing
from pipeline.records import RunFigures
from pipeline.records.speech import HEARD


def write_minutes_of(index_uri: str, video: str, config: Config) -> str:
    """Let the model of ``config`` write minutes of a video, unless the index has them.

    While it writes, nobody else writes of this camera, so that an order to erase holds for them.

    Returns:
        Why the index has none after the call; "" if it has.

    Raises:
        ConfigError: there is no such video, nothing is said in it, or the model cannot write.
        EngineStartError: the model cannot be started.
        IndexFormatError: there is no index.
        LeaseLostError: this run sent no heartbeat for so long that another run took the camera.
    """
    index = open_index(index_uri)
    recording = read_recording(index, video)
    written = stored_minutes(index, recording)
    if written and written.is_by(config):
        return ""
    writer, done = Writer(index_uri), Writing()
    run = new_run(HEARD, config.summaries_fingerprint, "summarize")
    with take_lease(
        writer.store,
        run,
        {recording.rows[0]["camera"]},
        figures=lambda: RunFigures(
            num_prompt_tokens=done.num_prompt_tokens, num_output_tokens=done.num_output_tokens
        ),
    ) as lease:
        if lease.others:
            lease.end("done", EXIT_OK)
            return f"run {lease.others[0].run_id} writes minutes of this camera now"
        engine = open_text_model(config)
        problem = ""
        try:
            done = write(writer.leased(lease.confirm), recording, config, engine)
        except SummaryError as exc:
            problem = str(exc)
        finally:
            engine.shutdown()
        lease.end("done", EXIT_OK, problem)
    apply_orders(writer.open())
    return problem
