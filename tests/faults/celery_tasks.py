"""A Celery service under test: each task makes one span, one log record and one count.

``python celery_tasks.py N`` puts N tasks into the queue; the folder of the broker is in
``FAULTS_BROKER``. Each task adds a byte to the file ``done`` there, after its telemetry.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from celery import Celery

FOLDER = Path(os.environ["FAULTS_BROKER"])
QUEUE = FOLDER / "queue"
QUEUE.mkdir(exist_ok=True)

app = Celery("faults", broker="filesystem://")
app.conf.update(
    broker_transport_options={
        "data_folder_in": str(QUEUE),
        "data_folder_out": str(QUEUE),
        "control_folder": str(FOLDER / "control"),
    },
    task_ignore_result=True,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)

if __name__ != "__main__":
    from celery.signals import worker_process_init

    import otelkit

    MADE = otelkit.get_meter("app").create_counter("app.made")

    def begin(**_: object) -> None:
        """Where telemetry begins: in the parent, or in each of its children."""
        otelkit.init(service_name="faults", console=False, log_format="json")

    if "FAULTS_INIT_IN_CHILDREN" in os.environ:
        worker_process_init.connect(begin)
    else:
        begin()


@app.task(name="work")
def work(n: int) -> None:
    """One task."""
    with otelkit.span("work", {"n": n, "run": "celery"}):
        otelkit.get_logger("app").info("line", n=n, run="celery")
        MADE.add(1)
    done = os.open(FOLDER / "done", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(done, b".")
    os.close(done)


if __name__ == "__main__":
    for number in range(int(sys.argv[1])):
        app.send_task("work", args=[number])
