"""Spans for OpenTelemetry: request, command, job and model call, in one trace, also across processes.

Nothing is made until somebody has set up an SDK (`opentelemetry-instrument sitting serve`). Spans name verbs, ids and
counts, never what a person wrote. They are carried on as `traceparent` of W3C Trace Context, in the header of a
request and beside a job in the store. Attributes of model calls follow OpenTelemetry's conventions for generative AI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from opentelemetry import context, trace
from opentelemetry.trace import ProxyTracerProvider, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

__all__ = ["SpanKind", "around", "carried", "on", "span"]

T = TypeVar("T")
R = TypeVar("R")
_TRACER = trace.get_tracer("sitting")
_CARRIER = TraceContextTextMapPropagator()


def on() -> bool:
    """Whether anybody has set up an SDK, so that spans go anywhere."""
    return not isinstance(trace.get_tracer_provider(), ProxyTracerProvider)


@contextmanager
def span(name: str, *, parent: str = "", kind: SpanKind = SpanKind.INTERNAL, **attributes: str | int) -> Iterator[Span]:
    """A span around a block; what is raised marks it as failed. `parent` is a `traceparent`; else the present span."""
    if not on():
        yield trace.INVALID_SPAN
        return
    within = _CARRIER.extract({"traceparent": parent}) if parent else None
    with _TRACER.start_as_current_span(
        name, within, kind=kind, attributes=_named(attributes), record_exception=False, set_status_on_exception=False
    ) as opened:
        try:
            yield opened
        except Exception as error:
            _fail(opened, error)
            raise


def around(
    name: str, fn: Callable[[T], R], submit: Callable[[Callable[[T], R]], Future[Any]], **attributes: str | int
) -> Future[Any]:
    """Give `fn` to another thread, in a span that lasts until its future is done and is the present one inside."""
    if not on():
        return submit(fn)
    opened = _TRACER.start_span(name, attributes=_named(attributes))
    within = trace.set_span_in_context(opened)

    def inside(argument: T) -> R:
        token = context.attach(within)
        try:
            return fn(argument)
        finally:
            context.detach(token)

    def end(done: Future[Any]) -> None:
        if (error := done.exception()) is not None:
            _fail(opened, error)
        opened.end()

    future = submit(inside)
    future.add_done_callback(end)
    return future


def carried() -> str:
    """The present span as a `traceparent`, or nothing."""
    if not on():
        return ""
    carrier: dict[str, str] = {}
    _CARRIER.inject(carrier)
    return carrier.get("traceparent", "")


def _named(attributes: dict[str, str | int]) -> dict[str, str | int]:
    """Keyword names as attribute names: `gen_ai__request__model` is `gen_ai.request.model`, any other is ours."""
    return {name.replace("__", ".") if "__" in name else f"sitting.{name}": value for name, value in attributes.items()}


def _fail(opened: Span, error: BaseException) -> None:
    """A refusal's code, or the kind of fault: a message might hold what a person wrote."""
    code = getattr(error, "code", type(error).__name__)
    opened.set_attribute("error.type", str(code))
    opened.set_status(Status(StatusCode.ERROR))
