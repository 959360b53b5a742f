"""Who speaks: the resource of all three signals.

Detection reads only what the process already has at hand: no network call, no child process.
`OTEL_RESOURCE_ATTRIBUTES` and the arguments win over what is detected.
"""

from __future__ import annotations

import functools
import os
import platform
import socket
import sys
import uuid
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otelkit import _guard

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from otelkit.settings import Settings

__all__ = ["attributes", "build", "instance_id"]

_instance: tuple[int, str] | None = None
_detected: dict[str, Resource] = {}  # a fork must not wait for the network again
_OF_ONE_PROCESS = frozenset({"otel", "process"})


def build(settings: Settings) -> Resource:
    """The resource of the service that ``settings`` describe."""
    from opentelemetry.sdk.resources import Resource

    detected = Resource.get_empty()
    for name in settings.resource_detectors:
        detected = detected.merge(_detected.get(name) or _detect(name))
    return detected.merge(Resource(attributes(settings)))


def _detect(name: str) -> Resource:
    """What a detector that was asked for by name finds; it may take its time."""
    from opentelemetry.sdk.resources import Resource

    try:
        entry = next(iter(metadata.entry_points(group="opentelemetry_resource_detector", name=name)))
        found: Resource = entry.load()().detect()
    except Exception:
        _guard.say(f"resource_detectors: {name!r} cannot be used: {_guard.current_error()}. It is left out.")
        return Resource.get_empty()
    if name not in _OF_ONE_PROCESS:
        _detected[name] = found
    return found


def attributes(settings: Settings) -> dict[str, Any]:
    """The resource attributes by the semantic conventions; what is None or empty is left out."""
    found: dict[str, Any] = {
        **_sdk(),
        **_process(os.getpid()),
        "service.instance.id": instance_id(),
        "service.version": _version(settings.service_name),
        **settings.resource_attributes,
        "service.name": settings.service_name,
        "deployment.environment.name": settings.environment,
        # The older key, which the field's dashboards still read.
        "deployment.environment": settings.environment,
    }
    if settings.service_version is not None:
        found["service.version"] = settings.service_version
    if settings.record_command_args:
        found["process.command_args"] = tuple(sys.argv)
    return {key: value for key, value in found.items() if value is not None and value != ""}


def instance_id() -> str:
    """A random id of this process; the same for its life, another one after a fork."""
    global _instance
    if _instance is None or _instance[0] != os.getpid():
        _instance = (os.getpid(), str(uuid.uuid4()))
    return _instance[1]


@functools.lru_cache(maxsize=1)
def _sdk() -> dict[str, str]:
    from opentelemetry.sdk.version import __version__ as sdk_version

    return {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": sdk_version,
        "telemetry.distro.name": "otelkit",
        "telemetry.distro.version": sys.modules["otelkit"].__version__,
    }


@functools.lru_cache(maxsize=2)
def _process(pid: int) -> dict[str, Any]:
    return {
        "host.name": socket.gethostname(),
        "host.arch": platform.machine(),
        "os.type": sys.platform,
        "process.pid": pid,
        "process.executable.path": sys.executable,
        "process.runtime.name": sys.implementation.name,
        "process.runtime.version": platform.python_version(),
    }


@functools.lru_cache(maxsize=64)
def _version(service_name: str) -> str | None:
    """The version of the installed distribution of that name, else the git commit of the folder."""
    return _distribution_version(service_name) or _git_commit(_working_folder())


def _distribution_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except Exception:
        return None


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except OSError:  # it has been deleted, as by a deployment of the next release
        return Path(os.sep)


def _git_commit(folder: Path) -> str | None:
    """The checked-out commit, read from the files of the nearest ``.git``."""
    try:
        for parent in (folder, *folder.parents):
            git = parent / ".git"
            if git.is_dir():
                return _head(git)
    except (OSError, ValueError):
        return None
    return None


def _head(git: Path) -> str | None:
    head = (git / "HEAD").read_text().strip()
    if not head.startswith("ref: "):
        return head or None
    reference = head.removeprefix("ref: ")
    loose = git / reference
    if loose.is_file():
        return loose.read_text().strip() or None
    packed = git / "packed-refs"
    if packed.is_file():
        for line in packed.read_text().splitlines():
            if line.endswith(f" {reference}"):
                return line.split(" ", 1)[0]
    return None
