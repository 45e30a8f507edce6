"""Texts as vectors, from any OpenAI-compatible ``/v1/embeddings``."""

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline.config import EmbeddingConfig
from pipeline.errors import EngineStartError

_NO_KEY = "none"

Vectors = npt.NDArray[np.float32]


class Embedder:
    """One client of one endpoint."""

    def __init__(self, config: EmbeddingConfig) -> None:
        try:
            import openai  # noqa: PLC0415 - optional dependency
        except ImportError as exc:
            raise EngineStartError(
                f"the openai client cannot be imported ({exc}); install timereel[openai]"
            ) from exc
        key = os.environ.get(config.api_key_env, "") if config.api_key_env else _NO_KEY
        if not key:
            raise EngineStartError(
                f"embedding.api_key_env={config.api_key_env}: this variable is not set"
            )
        self._config = config
        self._error = openai.OpenAIError
        self._client = openai.OpenAI(
            base_url=config.base_url,
            api_key=key,
            timeout=config.timeout_s,
            max_retries=config.max_retries,
        )

    @property
    def name(self) -> str:
        """What the vectors are of: the model; those of another do not compare."""
        return self._config.model

    def texts(self, texts: Sequence[str]) -> Vectors:
        """Vectors of unit length of what may be found [N, D].

        Raises:
            EngineStartError: the endpoint cannot be reached, refuses, or answers something else.
        """
        size = self._config.batch_texts
        parts = [self._ask(texts[i : i + size]) for i in range(0, len(texts), size)]
        return np.concatenate(parts)

    def question(self, text: str) -> Vectors:
        """The vector of unit length of what is looked for [D]."""
        return self._ask([self._config.question_prefix + text]).ravel()

    def _ask(self, texts: Sequence[str]) -> Vectors:
        try:
            answer = self._client.embeddings.create(
                model=self._config.model, input=list(texts), encoding_format="float"
            )
        except self._error as exc:
            raise self._failed(str(exc)) from exc
        ordered = sorted(answer.data, key=lambda one: one.index)
        if [one.index for one in ordered] != list(range(len(texts))):
            raise self._failed(f"{len(ordered)} vectors came for {len(texts)} texts")
        vectors = np.array([one.embedding for one in ordered], dtype=np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(vectors).all() or not lengths.all():
            raise self._failed("a vector is zero or not finite")
        return np.asarray(vectors / lengths, dtype=np.float32)

    def _failed(self, cause: str) -> EngineStartError:
        return EngineStartError(
            f"embedding.base_url={self._config.base_url}: {cause[:400]}; check the address, the "
            f"model {self._config.model} and the key"
        )
