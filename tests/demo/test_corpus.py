"""The agent's knowledge: questions find the passage that speaks of them."""

from __future__ import annotations

import pytest

from examples.agent.corpus import count_tokens, load


@pytest.mark.parametrize(
    ("query", "topic"),
    [
        ("lambda", "lambda"),
        ("IF", "if"),
        ("how does yield work", "yield"),
        ("what is a context manager", "context-managers"),
        ("operator precedence table", "operator-summary"),
    ],
)
def test_a_question_finds_its_topic(query: str, topic: str) -> None:
    """The best passage is one of the topic that the question is about."""
    best = load().search(query)[0]

    assert load().passages[best.number].topic == topic


@pytest.mark.parametrize("query", ["", "?!", "xylophone quokka", "how do I", "日本語"])
def test_nothing_is_found_for_nothing(query: str) -> None:
    """A query without a word of the corpus has no hits."""
    assert load().search(query) == []


def test_passages_hold_the_whole_texts() -> None:
    """Splitting loses no text."""
    from pydoc_data.topics import topics

    kept = sum(len(passage.text.split()) for passage in load().passages)

    assert kept == sum(len(text.split()) for text in topics.values())


def test_tokens_are_words_and_marks() -> None:
    """Every word and every punctuation mark is a token."""
    assert count_tokens("def f(x): pass") == 7
