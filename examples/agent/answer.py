"""What the agent answers with, in the shape in which the clients of language models answer."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MODEL", "Answer", "Usage"]

MODEL = "pydoc-topics"


@dataclass(frozen=True, slots=True)
class Usage:
    """What was read and written for an answer, in tokens."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The best passage for a query.

    Attributes:
        data: The text, in UTF-8.
        topic: Where it is from.
        usage: None for an answer from the cache, which has cost nothing.
        model: What has made it.
    """

    data: bytes
    topic: str
    usage: Usage | None
    model: str = MODEL

    @property
    def cached(self) -> bool:
        """Whether it comes from the cache."""
        return self.usage is None
