"""From settings to providers: `plan` says what will be built, the builders build it.

Building touches no global and starts no thread; `otelkit.runtime` does.
"""
