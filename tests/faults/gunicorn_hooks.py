"""The recipe of docs/delivery.md: telemetry belongs to the workers alone."""

import otelkit


def post_fork(server, worker):
    otelkit.init(service_name="faults", console=False, log_format="json")


def worker_exit(server, worker):
    otelkit.shutdown()
