"""A meter provider whose history a test writes itself, snapshot by snapshot, on a clock of its own."""

from __future__ import annotations

from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider

from otelkit._clock import FakeClock
from otelkit.pipeline.metrics import PullReader
from otelkit.readings._history import History
from otelkit.readings._source import Sdk
from otelkit.readings._windows import Windows


class Shop:
    """Instruments, their history and the windows over it; the process is as old as the clock.

    Attributes:
        official: Reads the same instruments by the SDK's own collection.
    """

    def __init__(self, *, source=Sdk, interval_s=10.0, since=0.0, **options):
        self.reader = PullReader()
        self.provider = MeterProvider(metric_readers=[self.reader], shutdown_on_exit=False)
        self.meter = self.provider.get_meter("shop")
        self.clock = FakeClock()
        self.interval_s = interval_s
        self.history = History(
            source(self.reader), clock=self.clock, since=since, interval_s=interval_s, **options
        )
        self.windows = Windows(self.history)

    def tick(self, times=1):
        """The next snapshots, an interval apart."""
        for _ in range(times):
            self.clock.advance(self.interval_s)
            self.windows.refresh()

    def observed(self, name, values, *, kind="counter", **attributes):
        """An observed instrument that answers with the next of ``values`` at each round; None is no answer."""
        left = iter(values)

        def answer(_):
            value = next(left)
            return [] if value is None else [Observation(value, attributes)]

        getattr(self.meter, f"create_observable_{kind}")(name, callbacks=[answer])
