"""Instruments of your own in one line, and what fills up, observed: queues and caches.

::

    orders = otelkit.counter("orders", "{order}", "Orders placed.")
    orders.add(1, {"shop": "north"})

    with otelkit.observe_queue("high_priority", queue.qsize):
        ...
"""

from otelkit.measures._observe import follow, observe_cache, observe_queue
from otelkit.measures._observed import Observed
from otelkit.measures._shortcuts import counter, gauge, histogram

__all__ = ["Observed", "counter", "follow", "gauge", "histogram", "observe_cache", "observe_queue"]
