"""What the bodies of an OpenAI-compatible endpoint say: where its bytes become checked values.

Every body is read here, once, into values of bounded size; whatever else it is becomes an
``EndpointError`` with the endpoint's own words. What only describes an answer (counts, log
probabilities) is left out where it makes no sense; the answer itself never is.
"""

import json
import re
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, BeforeValidator, Field, ValidationError, WrapValidator
from pydantic import ValidatorFunctionWrapHandler as Handler

from pipeline.engine.confidence import Token, tokens_of_bytes
from pipeline.records.sanitize import sanitized, storable

MAX_TEXT_CHARS = 2**20
"""Of one answer; a thousand tokens have a few thousand characters."""
MAX_TOKENS = 10_000_000
"""No request has more; a count beyond it is none."""

_MAX_QUOTED_CHARS = 400
_MAX_QUOTED_BYTES = 64 * 2**10
_MAX_REASON_CHARS = 40
_TOO_LARGE = 413
_REFUSED = frozenset({400, 422})
_BUSY = frozenset({408, 409, 429})
_STATUSES = range(100, 600)
_SERVER_ERROR = 500
_SAYS_TOO_LARGE = re.compile(
    r"too many (images|videos|frames|tokens)|at most \d+ (image|video)|up to \d+ (image|video)"
    r"|(maximum|max)( allowed)?( number)?( of)? images|context[ _](length|window|size)"
    r"|too (long|large|big)|maximum number of tokens",
    re.IGNORECASE,
)


class EndpointError(Exception):
    """A request has no answer that can be used.

    Args:
        event: what happened; the subject is the endpoint or its answer.
        words: its own words, cleaned and bounded; "" if there are none.
        status: of HTTP, or as a body names it; 0 if there is none.
        is_passing: whether the same request may go well in a moment.
        is_reached: whether there was an endpoint at all.
        retry_after_s: when the endpoint wants to be asked again; None if it does not say.
    """

    def __init__(
        self,
        event: str,
        words: str = "",
        *,
        status: int = 0,
        is_passing: bool = False,
        is_reached: bool = True,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(event, words)
        self.event, self.words, self.status = event, words, status
        self.is_passing = is_passing or status in _BUSY or status >= _SERVER_ERROR
        self.is_reached = is_reached
        self.retry_after_s = retry_after_s
        self.num_tries = 1

    def __str__(self) -> str:
        tries = f", tried {self.num_tries} times" if self.num_tries > 1 else ""
        status = f"HTTP {self.status}: " if self.status else ""
        return f"{self.event}{tries}: {status}{self.words}".rstrip(": ")

    @property
    def is_too_large(self) -> bool:
        """Whether the same request about fewer frames may be taken."""
        return self.status == _TOO_LARGE or (
            self.status in _REFUSED and _SAYS_TOO_LARGE.search(self.words) is not None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of ``/chat/completions``."""

    text: str
    finish_reason: str
    tokens: tuple[Token, ...] = ()
    """Of the whole text, with their log probabilities; none where they make no sense."""
    prompt_token_ids: tuple[int, ...] = ()
    num_prompt_tokens: int = 0
    num_output_tokens: int = 0


T = TypeVar("T")


def _text(value: Any) -> Any:  # noqa: ANN401 - any JSON
    return storable(value) if isinstance(value, str) else value


def _joined(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """A text that comes in parts as one; anything else as it is."""
    if not isinstance(value, list):
        return value
    texts = [part.get("text") if isinstance(part, dict) else None for part in value]
    strings = [text for text in texts if isinstance(text, str)]
    return "".join(strings) if len(strings) == len(value) else value


def _or_none(value: Any, read: Handler) -> Any:  # noqa: ANN401 - any JSON
    try:
        return read(value)
    except ValidationError:
        return None


def or_empty(value: Any, read: Handler) -> Any:  # noqa: ANN401 - any JSON
    """A list, or none where it makes no sense."""
    return _or_none(value, read) or []


def _or_zero(value: Any, read: Handler) -> Any:  # noqa: ANN401 - any JSON
    return _or_none(value, read) or 0


# Lists fail at the first wrong item: a million wrong ones would be a million errors.
Text = Annotated[str, BeforeValidator(_text)]
_Parts = Annotated[Text, BeforeValidator(_joined)]
_Optional = Annotated[T | None, WrapValidator(_or_none)]
OptionalText = _Optional[Text]
_Count = Annotated[int, Field(ge=0, le=MAX_TOKENS), WrapValidator(_or_zero)]
_Byte = Annotated[int, Field(ge=0, le=255)]
_TokenId = Annotated[int, Field(ge=0, lt=2**31)]
_TokenIds = Annotated[list[_TokenId], Field(fail_fast=True), WrapValidator(or_empty)]


class _Message(BaseModel):
    content: _Parts | None = None
    refusal: OptionalText = None
    reasoning_content: OptionalText = None
    reasoning: OptionalText = None


class _Logprob(BaseModel):
    token: Text
    logprob: float = Field(le=1e-3, allow_inf_nan=False)
    bytes: list[_Byte] | None = Field(default=None, max_length=1024)


class _Logprobs(BaseModel):
    content: list[_Logprob] = Field(default=[], fail_fast=True)


class _Choice(BaseModel):
    message: _Message | None = None
    finish_reason: OptionalText = None
    logprobs: _Optional[_Logprobs] = None


class _Usage(BaseModel):
    prompt_tokens: _Count = 0
    completion_tokens: _Count = 0


class _Chat(BaseModel):
    choices: list[_Choice] = Field(fail_fast=True)
    usage: _Optional[_Usage] = None
    prompt_token_ids: _TokenIds = []


class _Prompt(BaseModel):
    prompt: Text


class _Vector(BaseModel):
    index: int
    embedding: list[float] = Field(fail_fast=True)


class _Vectors(BaseModel):
    data: list[_Vector] = Field(fail_fast=True)


def read_answer(body: bytes) -> Answer:
    """The answer in a body of ``/chat/completions``.

    Raises:
        EndpointError: there is none, or none that can be read.
    """
    chat = read_as(_Chat, body)
    choice = chat.choices[0] if chat.choices else _Choice()
    reason = sanitized(choice.finish_reason or "")[:_MAX_REASON_CHARS]
    if choice.message is None:
        raise EndpointError("the endpoint gave no answer", f"finish_reason={reason!r}, no message")
    # A refusal is text that is no JSON: it fails, and says why.
    text = choice.message.content or choice.message.refusal or ""
    if len(text) > MAX_TEXT_CHARS:
        raise EndpointError(f"the answer has {len(text)} characters, at most {MAX_TEXT_CHARS} fit")
    thought = choice.message.reasoning_content or choice.message.reasoning
    if not text.strip() and thought and reason != "length":
        raise EndpointError(
            f"the answer is empty, and reasoning_content holds {len(thought)} characters; turn the "
            "model's reasoning or the server's reasoning parser off",
            clean(thought),
        )
    usage = chat.usage or _Usage()
    chosen = choice.logprobs.content if choice.logprobs else []
    return Answer(
        text=text,
        finish_reason=reason,
        tokens=tuple(
            tokens_of_bytes(
                (one.token.encode() if one.bytes is None else bytes(one.bytes), one.logprob)
                for one in chosen
            )
        ),
        prompt_token_ids=tuple(chat.prompt_token_ids),
        num_prompt_tokens=usage.prompt_tokens,
        num_output_tokens=usage.completion_tokens,
    )


def read_model_names(body: bytes) -> tuple[str, ...]:
    """The models in a body of ``/models``; none where it is a list of another kind.

    Raises:
        EndpointError: the body is no JSON.
    """
    value = _json(body)
    models = value.get("data") if isinstance(value, dict) else value
    if not isinstance(models, list):
        return ()
    names = (model.get("id") for model in models if isinstance(model, dict))
    return tuple(clean(name) for name in names if isinstance(name, str))


def read_prompt(body: bytes) -> str:
    """The text in a body of vLLM's ``/detokenize``.

    Raises:
        EndpointError: there is none.
    """
    return read_as(_Prompt, body).prompt


def read_vectors(body: bytes, *, num_texts: int) -> npt.NDArray[np.float32]:
    """The vectors of unit length in a body of ``/embeddings`` [N, D].

    Raises:
        EndpointError: they are not one for each text, all of one size, finite and not zero.
    """
    ordered = sorted(read_as(_Vectors, body).data, key=lambda one: one.index)
    if [one.index for one in ordered] != list(range(num_texts)):
        raise EndpointError(f"{len(ordered)} vectors came for {num_texts} texts")
    sizes = {len(one.embedding) for one in ordered}
    if len(sizes) > 1:
        raise EndpointError(f"the vectors have {min(sizes)} to {max(sizes)} numbers")
    vectors = np.array([one.embedding for one in ordered], dtype=np.float64)
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise EndpointError("a vector is zero or not finite")
    return np.asarray(vectors / lengths, dtype=np.float32)


def error_words(body: bytes) -> str:
    """What an endpoint says in the body of a failure, in one line."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    return _message(value) or clean(body[:_MAX_QUOTED_BYTES].decode("utf-8", "replace"))


def clean(text: str) -> str:
    """Words of a stranger, fit for a row and a terminal."""
    return sanitized(storable(text[:_MAX_QUOTED_BYTES]))[:_MAX_QUOTED_CHARS]


def unwrapped(text: str) -> tuple[str, str]:
    """One JSON value without the thought before it and the fence around it; and what was taken off.

    Anything else stays as it is, for the parser to refuse.
    """
    rest, taken = text.strip(), []
    thought, end, after = rest.rpartition("</think>")
    if end and thought[:1] not in ("{", "["):
        rest = after.strip()
        taken.append("<think>")
    opening, _, fenced = rest.partition("\n")
    if opening.startswith("```") and fenced.endswith("```"):
        rest = fenced.removesuffix("```").strip()
        taken.append("code fence")
    if not taken or not _is_json(rest):
        return text, ""
    return rest, f"{' and '.join(taken)} taken off"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


M = TypeVar("M", bound=BaseModel)


def read_as(model: type[M], body: bytes) -> M:
    """The body as values of a model.

    Raises:
        EndpointError: it is something else, such as an error in words.
    """
    value = _json(body)
    try:
        return model.model_validate(value)
    except ValidationError as exc:
        if message := _message(value):
            raise EndpointError("the endpoint failed", message, status=_status(value)) from None
        wrong = exc.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, wrong["loc"]))
        expected = wrong["msg"].partition(" or instance of")[0]
        raise EndpointError(
            f"the answer has another shape than the API's ({where}: {expected})",
            clean(body[:_MAX_QUOTED_BYTES].decode("utf-8", "replace")),
        ) from None


def _json(body: bytes) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        words = clean(body[:_MAX_QUOTED_BYTES].decode("utf-8", "replace"))
        raise EndpointError("the answer is not JSON", words or "it is empty") from None


def _message(value: Any) -> str:  # noqa: ANN401 - any JSON
    """The words of an error in JSON, wherever endpoints put them; "" if there are none."""
    if not isinstance(value, dict):
        return ""
    error = value.get("error")
    found = error.get("message") if isinstance(error, dict) else error
    for words in (found, value.get("message"), value.get("detail"), error):
        if isinstance(words, str) and words.strip():
            return clean(words)
        if isinstance(words, dict | list) and words:
            return clean(json.dumps(words, ensure_ascii=False))
    return ""


def _status(value: Any) -> int:  # noqa: ANN401 - any JSON
    """The status that an error inside a body names; 0 if it names none."""
    error = value.get("error")
    for part in (error if isinstance(error, dict) else {}, value):
        for key in ("code", "status", "status_code"):
            code = part.get(key)
            if isinstance(code, str) and code.isdecimal() and len(code) == len("500"):
                code = int(code)
            if isinstance(code, int) and not isinstance(code, bool) and code in _STATUSES:
                return code
    return 0
