"""The ways out: OTLP by the official exporters, and the live view on a terminal."""
