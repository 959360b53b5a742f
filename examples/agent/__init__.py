"""A question-answering agent over Python's own language reference, watched by otelkit.

``python -m examples.agent`` from the root of the checkout starts the service, asks it the bundled
queries over HTTP and shows what its telemetry knows about it.
"""
