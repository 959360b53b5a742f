"""What calls of language models take: time, tokens, money, by the GenAI semantic conventions.

::

    with otelkit.llm.track("gpt-x", provider="openai") as call:
        response = call.result(client.chat.completions.create(model="gpt-x", messages=messages))

Prompts and answers are not recorded unless asked for. See docs/llm.md.
"""

from otelkit.llm._call import Call, track
from otelkit.llm._configured import Configured, configure
from otelkit.llm._prices import Price
from otelkit.llm._record import record_tokens

__all__ = ["Call", "Configured", "Price", "configure", "record_tokens", "track"]
