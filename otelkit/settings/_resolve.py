"""From the sources to one `Settings`: the strongest usable value of each row wins."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from otelkit.settings import _advice, _pairs, _url
from otelkit.settings._checks import RATIO_SAMPLERS
from otelkit.settings._otlp import OTLP_ITEMS, SIGNALS, OtlpOverride
from otelkit.settings._parse import quiet
from otelkit.settings._problems import complaint, place, refused, shown, similar
from otelkit.settings._row import Wrong
from otelkit.settings._settings import ROWS, ROWS_BY_NAME, Settings
from otelkit.settings._sources import FILE_NAME, Found, Sources

if TYPE_CHECKING:
    from otelkit.settings._row import Row

__all__ = ["resolve", "signal_variable"]

_DEFAULT_ORIGINS = {row.name: "default" for row in ROWS}
_ROWS_BY_VARIABLE: dict[str, list[Row]] = {}
for _row in ROWS:
    for _variable in _row.variables:
        _ROWS_BY_VARIABLE.setdefault(_variable.name, []).append(_row)
_ATTRIBUTE_ROWS = tuple(row for row in ROWS if any(v.key for v in row.variables))
_LIFTED = frozenset(v.key for row in ROWS for v in row.variables if v.key)
_UNUSABLE = object()
_PROMETHEUS_PORT = 9464  # what the SDK's own "prometheus" exporter listens on
_EXPORTER_PROTOCOLS = {"otlp_proto_http": "http/protobuf", "otlp_proto_grpc": "grpc"}


def signal_variable(signal: str, item: str) -> str:
    """The variable that sets ``item`` of an `OtlpOverride` for ``signal``."""
    general = ROWS_BY_NAME[OTLP_ITEMS[item]].variables[0].name
    return general.replace("_OTLP_", f"_OTLP_{signal.upper()}_")


_SIGNAL_VARIABLES = tuple((s, i, signal_variable(s, i)) for s in SIGNALS for i in OTLP_ITEMS)


def resolve(**arguments: Any) -> Settings:
    """The settings that arguments, environment, pyproject.toml and defaults make together.

    The order of precedence, setting by setting: argument, ``OTEL_*`` variable, ``OTELKIT_*``
    variable, ``[tool.otelkit]`` of pyproject.toml in the working folder, default. An argument that
    is None and a variable that is empty count as not given. Resource attributes of all sources are
    put together by the same order. A value that cannot be used is named in ``problems``, and the
    next weaker source is asked.

    Args:
        **arguments: Settings by the names of the fields of `Settings`.

    Returns:
        A `Settings` in which every value can be used.

    Raises:
        ConfigurationError: Only when ``strict`` is true, from any source, and there are problems.
    """
    return _Resolution(Sources.read(arguments)).settings()


class _Resolution:
    """One walk over the rows that any source says something about."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.values: dict[str, Any] = {}
        self.origins = dict(_DEFAULT_ORIGINS)
        self.ranks: dict[str, int] = {}
        self.problems: list[str] = []
        self.overrides: dict[str, dict[str, Any]] = {}

    def settings(self) -> Settings:
        """Walk, and make the value."""
        self._unknown_names()
        for row in self._touched():
            self._pick(row)
        self._lift_attributes()
        self._sampling()
        self._signals()
        self._exporters()
        settings = Settings(
            **self.values,
            signal_overrides=MappingProxyType({s: OtlpOverride(**o) for s, o in self.overrides.items()}),
            origins=MappingProxyType(self.origins),
            problems=tuple(self.problems),
        )
        object.__setattr__(settings, "advice", _advice.about(settings, self.sources))
        return settings

    def _unknown_names(self) -> None:
        if self.sources.file_problem:
            self.problems.append(self.sources.file_problem)
        for name in self.sources.arguments:
            if name not in ROWS_BY_NAME:
                hint = similar(name, ROWS_BY_NAME)
                self.problems.append(f"{name!r} (argument) is no setting and is not used{hint}")
        for name in self.sources.file:
            if name not in ROWS_BY_NAME or not ROWS_BY_NAME[name].in_file:
                where = f"[tool.otelkit] in {FILE_NAME}"
                hint = similar(name, (row.name for row in ROWS if row.in_file))
                line = f"{name!r} ({where}) cannot be set there and is not used{hint}; remove it"
                self.problems.append(line)

    def _touched(self) -> list[Row]:
        """The rows that need work, in the order of the table."""
        sources = self.sources
        names = {*sources.arguments, *sources.file}
        for variable in _ROWS_BY_VARIABLE.keys() & sources.variables.keys():
            names.update(row.name for row in _ROWS_BY_VARIABLE[variable])
        if "resource_attributes" in names:
            names.update(row.name for row in _ATTRIBUTE_ROWS)
        return [row for row in ROWS if row.name in names]

    def _pick(self, row: Row) -> None:
        refusals: list[tuple[Found, Wrong]] = []
        merged: dict[str, Any] = {}
        for found in self.sources.of(row):
            value = self._parse(row, found, refusals)
            if value is _UNUSABLE:
                continue
            if row.merge:
                merged = {**value, **merged}
                value = MappingProxyType(merged)
            if row.name not in self.values:
                self.origins[row.name], self.ranks[row.name] = found.origin, found.rank
            self.values[row.name] = value
            if not row.merge:
                break
        for found, wrong in refusals:
            used = shown(row, self.values.get(row.name, row.default()))
            by = f"{used} ({place(self.origins[row.name])})"
            self.problems.append(refused(row, found.raw, found.origin, wrong, by))

    def _parse(self, row: Row, found: Found, refusals: list[tuple[Found, Wrong]]) -> Any:
        def complain(text: str) -> None:
            self.problems.append(complaint(row, found.origin, text))

        try:
            return row.read(found.value, complain)
        except Wrong as wrong:
            refusals.append((found, wrong))
        return _UNUSABLE

    def _lift_attributes(self) -> None:
        """Keep what has a setting of its own, such as service.name, out of the other attributes."""
        attributes: Mapping[str, Any] | None = self.values.get("resource_attributes")
        if attributes and not _LIFTED.isdisjoint(attributes):
            rest = {key: value for key, value in attributes.items() if key not in _LIFTED}
            self.values["resource_attributes"] = MappingProxyType(rest) if rest else _pairs.EMPTY

    def _sampling(self) -> None:
        """A ratio beats a sampler of a weaker source; a sampler beats a ratio of a weaker source."""
        sampler = self.values.get("sampler", RATIO_SAMPLERS[0])
        default = 4
        if self.ranks.get("sample_ratio", default) <= self.ranks.get("sampler", default):
            if sampler not in RATIO_SAMPLERS:
                self.values["sampler"] = RATIO_SAMPLERS[0]
                self.origins["sampler"] = self.origins["sample_ratio"]
        elif sampler in RATIO_SAMPLERS:
            self._ratio_of_sampler()

    def _ratio_of_sampler(self) -> None:
        """The ratio that stands beside a sampler; without one, that of a weaker source holds."""
        row, arg = ROWS_BY_NAME["sample_ratio"], ROWS_BY_NAME["sampler_arg"]
        text = self.values.get(arg.name)
        if text is None:
            return
        origin = self.origins[arg.name]
        try:
            self.values[row.name], self.origins[row.name] = row.read(text, quiet), origin
        except Wrong as wrong:
            used = self.values.get(row.name, row.default())
            by = f"{shown(row, used)} ({place(self.origins[row.name])})"
            self.problems.append(refused(arg, text, origin, wrong, by))

    def _signals(self) -> None:
        """Read the per-signal variables; an argument beats them."""
        for signal, item, variable in _SIGNAL_VARIABLES:
            if variable not in self.sources.variables:
                continue
            row = ROWS_BY_NAME[OTLP_ITEMS[item]]
            if self.ranks.get(row.name) == 0:
                continue
            refusals: list[tuple[Found, Wrong]] = []
            found = Found(1, f"variable {variable}", self.sources.variables[variable])
            value = self._parse(row, found, refusals)
            for _found, wrong in refusals:
                used = f"what holds for all signals ({place(self.origins[row.name])})"
                self.problems.append(refused(row, found.raw, found.origin, wrong, used))
            if value is not _UNUSABLE:
                self.overrides.setdefault(signal, {})[item] = value
        if self.ranks.get("endpoint") == 0 and _url.has_scheme(self.values["endpoint"]):
            self._forget_insecure()

    def _forget_insecure(self) -> None:
        """The scheme of an address that is an argument beats the variables for TLS."""
        if self.ranks.get("insecure", 0) > 0:
            del self.values["insecure"]
            self.origins["insecure"] = "default"
        for own in self.overrides.values():
            own.pop("insecure", None)

    def _exporters(self) -> None:
        for signal in SIGNALS:
            names = self.values.get(f"{signal}_exporters", ())
            for name in names:
                self._exporter_protocol(signal, name)
            if not _EXPORTER_PROTOCOLS.keys().isdisjoint(names):
                plain = tuple("otlp" if name in _EXPORTER_PROTOCOLS else name for name in names)
                self.values[f"{signal}_exporters"] = tuple(dict.fromkeys(plain))
        if "prometheus" in self.values.get("metrics_exporters", ()) and "prometheus_port" not in self.values:
            self.values["prometheus_port"] = _PROMETHEUS_PORT
            self.origins["prometheus_port"] = self.origins["metrics_exporters"]

    def _exporter_protocol(self, signal: str, name: str) -> None:
        """An exporter's name may fix the protocol of its signal, as in the SDK."""
        protocol = _EXPORTER_PROTOCOLS.get(name)
        if protocol is None or self.ranks.get("protocol") == 0:
            return
        self.overrides.setdefault(signal, {})["protocol"] = protocol
