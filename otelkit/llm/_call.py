"""One call of a language model: a span, its times, its tokens, its cost."""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar

from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind
from opentelemetry.trace.status import Status, StatusCode

from otelkit import _guard
from otelkit.llm import _answer, _content, _record
from otelkit.llm._configured import present
from otelkit.llm._record import SCOPE, Asked, name_of
from otelkit.llm._stream import is_stream, passing
from otelkit.pipeline.current import CurrentSpan
from otelkit.processors.exceptions import class_name, is_failure, status_text
from otelkit.processors.limits import span_attributes
from otelkit.processors.usage import Usage, count, joined, model_of, text, usage_of

__all__ = ["Call", "track"]

R = TypeVar("R")

_NOTHING = Usage(None, None, None, None)


def track(
    model: str,
    operation: str = "chat",
    *,
    provider: str | None = None,
    server_address: str | None = None,
    server_port: int | None = None,
    attributes: Mapping[str, Any] | None = None,
    messages: Any = None,
    system: Any = None,
    record_content: bool | None = None,
) -> Call:
    """Measure one call of a language model, as ``with`` or ``async with``.

    A client span ``{operation} {model}`` with ``gen_ai.*`` attributes, ``gen_ai.client.operation.duration``,
    and what `record_tokens` measures. An exception that leaves the block sets ``error.type`` and goes
    on unchanged; a cancellation is no error.

    Args:
        model: The model that is asked.
        operation: Such as ``chat``, ``embeddings``, ``text_completion``, ``generate_content``.
        provider: As the conventions name it: ``openai``, ``anthropic``, ``gcp.gemini`` ...
        server_address: The provider's host, where it is of interest.
        server_port: Its port.
        attributes: Further attributes of the span, such as ``gen_ai.request.temperature``.
        messages: The prompt: a text, or messages as any client takes them. Not looked at unless
            content is recorded.
        system: The system prompt, where it is given apart.
        record_content: Whether prompt and answer become attributes of the span, redacted and
            bounded. Default: what `configure` was told, else no.

    Returns:
        The `Call`; tell it the answer by `Call.result`, `Call.tokens` or `Call.stream`.
    """
    asked = Asked(
        operation=name_of(operation),
        model=name_of(model),
        provider=text(provider),
        address=text(server_address),
        port=count(server_port),
    )
    wanted = present().record_content if record_content is None else record_content is True
    return Call(asked, _mapping(attributes), (messages, system) if wanted else None)


def _mapping(attributes: Any) -> Mapping[Any, Any]:
    if type(attributes) is dict:
        return attributes
    try:
        return dict(attributes) if issubclass(type(attributes), Mapping) else {}
    except Exception:  # a mapping that cannot be read: the span says so
        return span_attributes(attributes)


class Call:
    """A call under way; made by `track`. Its methods never raise, and may be called in any order.

    One object is one block. What is told twice counts once: the later answer stands. Where the block
    is left before a stream of `stream` has ended, the call goes on until that: exhausted, failed,
    closed or released.
    """

    def __init__(self, asked: Asked, attributes: Mapping[str, Any], content: tuple[Any, Any] | None) -> None:
        self._asked = asked
        self._attributes = attributes
        self._content = content
        self._scope: CurrentSpan | None = None
        self._span: Span = INVALID_SPAN
        self._began = 0.0
        self._first_chunk_s: float | None = None
        self._usage = _NOTHING
        self._model: str | None = None
        self._id: str | None = None
        self._reasons: tuple[str, ...] = ()
        self._texts: list[str] = []
        self._error_type: str | None = None  # the error itself would keep the frames it went through alive
        self._lock = threading.RLock()  # a released stream may end anywhere, in this very thread too
        self._streams = 0
        self._left = False
        self._over = False

    # -- the block ----------------------------------------------------------------------------

    def __enter__(self) -> Call:
        self._began = time.perf_counter()
        try:
            scope = CurrentSpan(
                trace.get_tracer(SCOPE),
                f"{self._asked.operation} {self._asked.model}",
                kind=SpanKind.CLIENT,
                attributes={**self._attributes, **self._asked.attributes()},
                end_on_exit=False,
            )
            self._span = scope.__enter__()
            self._scope = scope
            self._record_prompt()
        except Exception:
            _guard.swallowed("llm.enter")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._scope is not None:
                self._scope.__exit__(None, None, None)
            self._fail(error)
            with self._lock:
                self._left = True
                if error is not None:
                    self._streams = 0
            self._settle()
        except Exception:
            _guard.swallowed("llm.exit")

    async def __aenter__(self) -> Call:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)

    @property
    def span(self) -> Span:
        """The span of the call, for attributes of your own."""
        return self._span

    # -- the answer ---------------------------------------------------------------------------

    def result(self, response: R) -> R:
        """Take tokens, model, id and reasons to end from what a client returned.

        Args:
            response: Of any shape; see `otelkit.processors.usage`. Nothing in it is called,
                iterated or awaited.

        Returns:
            The same object.
        """
        try:
            self._usage = usage_of(response) or self._usage
            self._model = self._id = None
            self._take(response)
            if self._content is not None:
                self._texts = [answer[: _content.MAX_TEXT] for answer in _answer.texts(response)]
        except Exception:
            _guard.swallowed("llm.result")
        return response

    def tokens(
        self,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        *,
        cached_tokens: int | None = None,
        model: str | None = None,
    ) -> None:
        """Tell the tokens of an answer that does not say them itself.

        Args:
            input_tokens: Of the prompt, with the cached ones.
            output_tokens: Of the answer, with the reasoning.
            cached_tokens: Those of the input that came from a cache.
            model: The model that answered.
        """
        self._usage = joined(
            _NOTHING,
            Usage(count(input_tokens), count(output_tokens), None, text(model), count(cached_tokens)),
        )

    def stream(self, chunks: Any) -> Any:
        """Pass a streamed answer through, untouched, and read tokens and times from its chunks.

        Args:
            chunks: What the client returned: a stream, generator or iterator, plain or async.

        Returns:
            An iterator (or async iterator) over the same chunks that has the members of
            ``chunks``, ``close`` or ``aclose`` among them, and is a context manager if that is one.
            What has all its chunks already (a list) is read and comes back as it is; so does an
            answer that is no stream, which counts as that of `result`.
        """
        try:
            if type(chunks) is list or type(chunks) is tuple:
                for chunk in chunks:
                    self._on_chunk(chunk)
                return chunks
            if not is_stream(chunks):
                return self.result(chunks)
            if not self._over:
                passed = passing(chunks, self)
                with self._lock:
                    self._streams += 1
                return passed
        except Exception:
            _guard.swallowed("llm.stream")
        return chunks

    def _on_chunk(self, chunk: Any) -> None:
        """Of `Stream`: a chunk has come."""
        try:
            if self._first_chunk_s is None:
                self._first_chunk_s = time.perf_counter() - self._began
            found = usage_of(chunk)
            if found is not None:
                self._usage = joined(self._usage, found)
            self._take(chunk)
            if self._content is not None:
                self._add_text(_answer.texts(chunk))
        except Exception:
            _guard.swallowed("llm.chunk")

    def _on_end(self, error: BaseException | None) -> None:
        """Of `Stream`: it has ended, by itself or by an error."""
        try:
            self._fail(error)
            with self._lock:
                self._streams -= 1
            self._settle()
        except Exception:
            _guard.swallowed("llm.stream")

    def _on_release(self, end: Callable[[], None]) -> None:
        """Of `Stream`: it was released before its end, perhaps by the garbage collector.

        That may come while this thread holds a lock of the metrics, so what is to be measured is
        measured elsewhere. A thread of `threading` would take locks of its own.
        """
        if not self._left:
            end()
            return
        try:
            _thread.start_new_thread(end, ())
        except RuntimeError:  # the interpreter ends
            end()

    # -- the details --------------------------------------------------------------------------

    def _take(self, response: Any) -> None:
        self._model = self._model or model_of(response)
        self._id = self._id or _answer.response_id(response)
        self._reasons = _answer.finish_reasons(response) or self._reasons

    def _add_text(self, found: list[str]) -> None:
        if found:
            so_far = self._texts[0] if self._texts else ""
            self._texts = [so_far + found[0][: max(0, _content.MAX_TEXT - len(so_far))]]

    def _record_prompt(self) -> None:
        if self._content is None or not self._span.is_recording():
            return
        messages, system = self._content
        if messages is not None:
            self._span.set_attribute("gen_ai.input.messages", _content.input_messages(messages))
        if system is not None:
            self._span.set_attribute("gen_ai.system_instructions", _content.system_instructions(system))

    def _fail(self, error: BaseException | None) -> None:
        """Remember the first error; cancellation and other `BaseException` are none."""
        if self._over or self._error_type is not None:
            return
        if not is_failure(error):
            return
        self._error_type = class_name(type(error))
        if self._span.is_recording():
            self._span.record_exception(error)
            self._span.set_status(Status(StatusCode.ERROR, status_text(error)))

    def _settle(self) -> None:
        """Finish, once, when the block was left and no stream is open."""
        with self._lock:
            if self._over or not self._left or self._streams > 0:
                return
            self._over = True
        self._finish()

    def _finish(self) -> None:
        seconds = time.perf_counter() - self._began
        usage = self._usage
        model = usage.model or self._model
        spent = _record.record_usage(self._asked, joined(Usage(None, None, None, model), usage))
        _record.record_duration(self._asked, seconds, model=model, error_type=self._error_type)
        if self._first_chunk_s is not None:
            _record.record_first_chunk(self._asked, self._first_chunk_s, model=model)
        self._describe(usage, model, spent)
        self._span.end()

    def _describe(self, usage: Usage, model: str | None, spent: float | None) -> None:
        if not self._span.is_recording():
            return
        found = {
            "gen_ai.response.model": model,
            "gen_ai.response.id": self._id,
            "gen_ai.response.finish_reasons": self._reasons or None,
            "gen_ai.response.time_to_first_chunk": self._first_chunk_s,
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
            "otelkit.llm.cost": spent,
            "error.type": self._error_type,
        }
        if self._texts:
            found["gen_ai.output.messages"] = _content.output_messages(self._texts, self._reasons)
        self._span.set_attributes({name: value for name, value in found.items() if value is not None})
