"""Whether an endpoint serves the model that is asked for: a wrong address is one error."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from pipeline.engine.api_key import ApiKey
from pipeline.engine.endpoint import Endpoint
from pipeline.engine.endpoint_answers import EndpointError, read_model_names
from pipeline.errors import EngineStartError

REFUSES_ALL = frozenset({401, 403, 404})
"""Of the key or the model, as long as nothing was ever answered; later, of one request."""
_CHECK_S = 30.0
_NO_SUCH_PAGE = 404


class EndpointSettings(Protocol):
    """The settings of an engine that asks an endpoint."""

    @property
    def base_url(self) -> str: ...  # noqa: D102 - as the settings have it
    @property
    def model(self) -> str: ...  # noqa: D102
    @property
    def api_key_env(self) -> str | None: ...  # noqa: D102
    @property
    def max_retries(self) -> int: ...  # noqa: D102
    @property
    def timeout_s(self) -> float: ...  # noqa: D102


def check_served(config: EndpointSettings, key: ApiKey, *, section: str) -> None:
    """Ask which models there are, so that a wrong address is one error, not one per window.

    Raises:
        EngineStartError: the endpoint cannot be reached, refuses the key or has no such model.
    """
    endpoint = Endpoint(
        config.base_url,
        key,
        timeout_s=min(_CHECK_S, config.timeout_s),
        max_retries=config.max_retries,
    )
    asked = endpoint.get(f"{endpoint.base_url}/models", read_model_names)
    try:
        # In a thread of its own, since an actor's has an event loop that runs.
        with ThreadPoolExecutor(1) as thread:
            served = thread.submit(asyncio.run, asked).result()
    except EndpointError as exc:
        if exc.status == _NO_SUCH_PAGE:
            return  # an endpoint without a list of models
        raise start_error(exc, config, section=section) from None
    if served and config.model not in served:
        raise EngineStartError(
            f"{section}.model={config.model}: {config.base_url} serves "
            f"{', '.join(served[:8])}; name one of them"
        )


def start_error(exc: EndpointError, config: EndpointSettings, *, section: str) -> EngineStartError:
    """What to say of an endpoint that answers nothing at all."""
    return EngineStartError(
        f"{section}.base_url={config.base_url}: {exc}; check the address, the model "
        f"{config.model} and the key ({section}.api_key_env={config.api_key_env})"
    )
