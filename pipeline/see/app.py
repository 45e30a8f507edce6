"""The application: the routes behind the guard, and the page."""

import logging
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Scope

from pipeline.errors import (
    ConfigError,
    IndexFormatError,
    InterruptedQueryError,
    SourceError,
    TimereelError,
    UnreachableError,
    told_elsewhere,
)
from pipeline.index.status import index_status
from pipeline.records import make_id
from pipeline.see import footage, meetings, pictures, review, rows
from pipeline.see.answers import answer
from pipeline.see.guard import Admission, Guard
from pipeline.see.indexes import GivenUpError, TooSlowError, UnknownIndexError
from pipeline.see.isolation import BusyError
from pipeline.see.metrics import Counted, Metrics
from pipeline.see.site import Site

WEB = Path(__file__).parent / "web"
_STATUS: dict[type[TimereelError], int] = {
    ConfigError: 422,
    UnknownIndexError: 404,
    SourceError: 410,
    UnreachableError: 503,
    BusyError: 503,
    TooSlowError: 503,
    InterruptedQueryError: 503,
    GivenUpError: 499,
    IndexFormatError: 500,
}
_MAX_TOLD = 20
_MAX_TOLD_CHARS = 200

log = logging.getLogger(__name__)


def make_app(site: Site, admission: Admission) -> FastAPI:
    """The application that serves a site to those who are admitted."""
    app = FastAPI(title="timereel", version="1", docs_url=None, redoc_url=None)
    metrics = Metrics(lambda: site.children.num_running)
    app.add_middleware(Guard, admission=admission)
    app.add_middleware(Counted, metrics=metrics)
    for routes in (
        rows.routes,
        meetings.routes,
        footage.routes,
        pictures.routes,
        review.routes,
    ):
        app.include_router(routes(site), prefix="/api/v1")
    app.add_exception_handler(TimereelError, _refused)
    app.add_exception_handler(RequestValidationError, _not_understood)

    @app.get("/metrics", include_in_schema=False)
    async def figures(request: Request) -> Response:
        now = datetime.now(tz=UTC)
        ask = partial(index_status, cameras=None, now=now)
        indexes = site.indexes.by_name.items()
        metrics.show({name: await index.ask(request, ask) for name, index in indexes}, now)
        return metrics.text()

    modules = f"/web/{_version()}"
    html = (WEB / "index.html").read_text().replace("/web", modules)

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        return HTMLResponse(html, headers={"Cache-Control": "no-cache"})

    app.mount(modules, GZipMiddleware(_Modules(directory=WEB), minimum_size=500))
    return app


class _Modules(StaticFiles):
    """Files that a browser asks for once: their addresses change when one of them does."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file, or HTTPException 404."""
        found = await super().get_response(path, scope)
        found.headers["Cache-Control"] = "private, max-age=31536000, immutable"
        return found


def _version() -> str:
    """A name for the files of the page as they are."""
    files = sorted(path for path in WEB.rglob("*") if path.is_file())
    return make_id(*(path.read_text() for path in files))


def _refused(request: Request, exc: Exception) -> Response:
    """A deliberate error as JSON."""
    kind = next(kind for kind in type(exc).__mro__ if kind in _STATUS or kind is TimereelError)
    detail = told_elsewhere(exc) if isinstance(exc, TimereelError) else str(exc)
    if detail != str(exc):
        log.warning("%s: %s", request.url.path, exc)
    return JSONResponse({"detail": detail, "kind": type(exc).__name__}, _STATUS.get(kind, 500))


def _not_understood(request: Request, exc: Exception) -> Response:
    """What is wrong with a question. It is not quoted: it may be long, and hold what is no JSON."""
    wrong = exc.errors() if isinstance(exc, RequestValidationError) else []
    detail = [
        {
            "type": one["type"],
            "loc": [str(part)[:_MAX_TOLD_CHARS] for part in one["loc"]],
            "msg": str(one["msg"])[:_MAX_TOLD_CHARS],
        }
        for one in wrong[:_MAX_TOLD]
    ]
    return answer(request, {"detail": detail}, 422)
