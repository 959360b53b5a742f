"""The public signatures as a type checker sees them; this file is checked, never run.

What is said here is a promise: code that is typed so today must be typed so tomorrow.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from opentelemetry.metrics import Counter, Histogram, Meter, UpDownCounter
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, Span, SpanKind, Tracer
from structlog.typing import FilteringBoundLogger
from typing_extensions import assert_type

import otelkit
from otelkit.testing import FakeClock, Telemetry, capture


def init_takes_every_setting_by_name() -> None:
    runtime = otelkit.init(
        "shop",
        service_version="1.2",
        environment="production",
        resource_attributes={"shop.region": "north", "shop.floor": 3},
        endpoint="http://localhost:4318",
        protocol="http/protobuf",
        headers={"authorization": "secret"},
        sample_ratio=0.1,
        console=False,
        log_level="INFO",
        log_format="json",
        log_setup="attach",
        prometheus_port=9464,
        metric_interval_s=15.0,
        spool="on_failure",
        redact=["iban", re.compile("A-[0-9]+")],
        instrument=["redis"],
        disabled_scopes=["noisy.*"],
        span_processors=[SimpleSpanProcessor(InMemorySpanExporter())],
        span_exporters=[InMemorySpanExporter()],
        log_exporters=[],
        metric_readers=[InMemoryMetricReader()],
        strict=True,
    )
    assert_type(runtime, otelkit.Runtime)


def init_takes_other_forms_of_a_setting() -> None:
    def keep(key: str, value: object) -> object:
        return value if key else ""

    otelkit.init()
    otelkit.init(protocol="grpc", log_level=10, log_format="console", log_setup="auto")
    otelkit.init(instrument="auto", redact=False, log_setup="configure")
    otelkit.init(instrument=False, redact=keep, log_setup="off")
    otelkit.init(settings=otelkit.Settings(service_name="shop"))


def init_refuses_what_it_does_not_know() -> None:
    otelkit.init(sevice_name="shop")  # type: ignore[call-arg]
    otelkit.init("shop", "1.2")  # type: ignore[call-arg, arg-type]
    otelkit.init(protocol="http")  # type: ignore[arg-type]
    otelkit.init(log_format="xml")  # type: ignore[arg-type]
    otelkit.init(span_exporters=[3])  # type: ignore[list-item]


def a_runtime_is_a_context_manager() -> None:
    with otelkit.init("shop") as runtime:
        assert_type(runtime, otelkit.Runtime)
        assert_type(runtime.settings, otelkit.Settings)
        assert_type(runtime.flush(timeout_s=1.0), bool)
        assert_type(runtime.stats()["traces"].created, int)
        assert_type(runtime.stats()["traces"].dropped, Mapping[str, int])
        assert_type(runtime.stats()["traces"].spooled, int)
        assert_type(str(runtime.plan), str)
    assert_type(runtime.shutdown(timeout_s=1.0), bool)


async def ending_answers_whether_all_was_delivered() -> None:
    assert_type(otelkit.flush(), bool)
    assert_type(otelkit.flush(timeout_s=1.0), bool)
    assert_type(await otelkit.aflush(timeout_s=1.0), bool)
    assert_type(otelkit.shutdown(timeout_s=1.0), bool)


async def a_span_is_the_api_s_span(link: Link) -> None:
    with otelkit.span("checkout", {"cart.items": 3, "cart": object()}) as span:
        assert_type(span, Span)
        span.set_attribute("order.id", "A-17")
    async with otelkit.span("checkout", kind=SpanKind.CLIENT, links=[link]) as span:
        assert_type(span, Span)
    assert_type(otelkit.trace_id(), str | None)
    assert_type(otelkit.span_id(span), str | None)


@otelkit.span("plain")
def plain(count: int, *, name: str = "") -> list[str]:
    return [name] * count


@otelkit.span("coroutine")
async def coroutine(count: int) -> str:
    return str(count)


@otelkit.span("generator")
def generator(count: int) -> Iterator[int]:
    yield count


@otelkit.span("async_generator")
async def async_generator(count: int) -> AsyncIterator[int]:
    yield count


class Shop:
    @otelkit.span("method")
    def method(self, count: int) -> int:
        return count


async def a_decorated_function_keeps_its_signature() -> None:
    assert_type(plain(1, name="a"), list[str])
    assert_type(await coroutine(1), str)
    assert_type(generator(1), Iterator[int])
    assert_type(async_generator(1), AsyncIterator[int])
    assert_type(Shop().method(1), int)
    plain("1")  # type: ignore[arg-type]
    Shop().method()  # type: ignore[call-arg]


def tracers_and_meters_are_the_api_s() -> None:
    assert_type(otelkit.get_tracer(), Tracer)
    assert_type(otelkit.get_tracer("shop", "1.2"), Tracer)
    assert_type(otelkit.get_meter(), Meter)
    assert_type(otelkit.get_meter("shop", "1.2").create_counter("orders"), Counter)


async def loggers_are_structlog_s() -> None:
    log = otelkit.get_logger()
    assert_type(log, FilteringBoundLogger)
    assert_type(log.bind(order="A-17"), FilteringBoundLogger)
    log.info("order placed", order="A-17")
    log.exception("order failed")
    await log.ainfo("order placed")


def bound_fields_are_restored() -> None:
    with otelkit.bind(order_id=17, order=object()) as binding:
        binding.restore()
    otelkit.bind(order_id=17)
    otelkit.unbind("order_id", "order")


def suppress_is_a_context_manager() -> None:
    with otelkit.suppress() as nothing:
        assert_type(nothing, None)


def settings_are_one_frozen_value() -> None:
    settings = otelkit.Settings(service_name="shop", sample_ratio=0.1)
    assert_type(settings.service_name, str)
    assert_type(settings.sample_ratio, float | None)
    assert_type(settings.protocol, Literal["http/protobuf", "grpc"])
    assert_type(settings.problems, tuple[str, ...])
    assert_type(settings.otlp("traces").url, str)
    assert_type(dataclasses.replace(settings, log_level=10), otelkit.Settings)
    assert_type(otelkit.settings.resolve(service_name="shop"), otelkit.Settings)
    for row in otelkit.settings.describe(settings):
        assert_type(row.variables, tuple[str, ...])
    settings.service_name = "bar"  # type: ignore[misc]
    otelkit.Settings(sevice_name="shop")  # type: ignore[call-arg]


def a_capture_gives_values(telemetry: Telemetry) -> None:
    with capture(settings=otelkit.Settings(), fixed_ids=True, clock=FakeClock(step_ns=1)) as inner:
        assert_type(inner, Telemetry)
    span = telemetry.span("checkout")
    assert_type(span.attributes, Mapping[str, Any])
    assert_type(span.parent_id, str | None)
    assert_type(span.duration_s, float)
    assert_type([event.name for event in span.events], list[str])
    assert_type(telemetry.log("order placed").level, str | None)
    assert_type(telemetry.metric("orders_total", shop="north").value, float | int)
    assert_type(telemetry.metric("orders_total").points[0].count, int | None)
    assert_type(telemetry.tree(attributes=False), str)
    assert_type([span.name for span in telemetry.spans], list[str])


def standard_instruments_have_their_kind() -> None:
    assert_type(otelkit.catalog.instrument("requests"), Counter)
    assert_type(otelkit.catalog.instrument("request_duration", prefix="shop"), Histogram)
    assert_type(otelkit.catalog.instrument("active_connections"), UpDownCounter)
    otelkit.catalog.instrument("queue_size").set(3, {"queue_name": "orders"})
    assert_type(otelkit.catalog.INSTRUMENTS[0].exposed, str)
    assert_type(otelkit.catalog.default_buckets("wait", "s"), tuple[float, ...] | None)


def the_page_is_for_any_framework(wanted: Callable[[], Sequence[str]]) -> None:
    assert_type(otelkit.prometheus.render(wanted()[0]), tuple[bytes, str])
    server = otelkit.prometheus.serve(port=0)
    assert_type(server.port, int)
    server.close()


async def a_monitored_function_keeps_its_type() -> None:
    @otelkit.monitor_performance(method="query", endpoint="/query", errors=(TimeoutError, "Busy"))
    async def query(text: str, *, limit: int = 3) -> list[str]:
        return [text] * limit

    @otelkit.monitor_performance
    def bare(number: int) -> str:
        return str(number)

    assert_type(await query("a", limit=2), list[str])
    assert_type(bare(1), str)
    await query(1)  # type: ignore[arg-type]
    assert_type(otelkit.monitor.endpoints(), tuple[otelkit.monitor.Monitored, ...])


def readings_are_values() -> None:
    assert_type(otelkit.readings.rate("agent_requests", 60.0), otelkit.readings.Reading)
    assert_type(otelkit.readings.Reading(None, 0.0, 0.0).value, float | None)


def shortcuts_are_instruments() -> None:
    assert_type(otelkit.counter("orders", "{order}"), Counter)
    assert_type(otelkit.histogram("wait", "s"), Histogram)


def errors_are_a_tree(missing: otelkit.errors.MissingExtraError) -> otelkit.errors.OtelkitError:
    wrong: otelkit.ConfigurationError = missing
    return wrong


def a_misspelt_name_is_an_error() -> None:
    otelkit.spam()  # type: ignore[attr-defined]
    otelkit.loggs.get_logger()  # type: ignore[attr-defined]
    with otelkit.span("checkout") as span:
        span.set_atribute("a", 1)  # type: ignore[attr-defined]


def the_running_runtime_can_be_asked_for() -> None:
    assert_type(otelkit.runtime.current(), otelkit.Runtime | None)
