"""Pure changes to telemetry in passing: context, limits, redaction, metric data."""
