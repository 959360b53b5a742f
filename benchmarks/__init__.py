"""What otelkit costs beside the plain OpenTelemetry SDK: ratios measured in one run.

``python -m benchmarks`` prints one table. Each row is one task, done by otelkit and by the plain SDK
with equivalent features, each side in a process of its own, in rounds that take turns.
"""
