"""The knowledge of the agent: Python's language reference as passages that words can find.

Every Python carries these texts in `pydoc_data.topics`; they are what ``help("lambda")`` shows.
"""

from __future__ import annotations

import hashlib
import heapq
import math
import re
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache, cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Corpus", "Hit", "Passage", "count_tokens", "load"]

_WORD = re.compile(r"\w+")
_TOKEN = re.compile(r"\w+|[^\w\s]")
_PASSAGE_CHARS = 500


def words(text: str) -> list[str]:
    """The words of a text in lower case, in order."""
    return _WORD.findall(text.lower())


# Okapi BM25 with its usual constants (Robertson and Zaragoza 2009, section 3.5).
_K1 = 1.5
_B = 0.75
# A word that stands in more than this share of the passages says nothing about a question.
_COMMON_SHARE = 0.2
_ASKING = set(words("a an are be can did do does how i it its me my of one our the there to we what why you"))
_TITLE_BONUS = 6.0
_CANDIDATES = 40


@dataclass(frozen=True, slots=True)
class Passage:
    """A few paragraphs of one topic, as long as an answer should be."""

    topic: str
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that speaks of the question, by its number; a higher score means more of it."""

    number: int
    score: float


def count_tokens(text: str) -> int:
    """How many words and punctuation marks a text has, as a language model would be billed."""
    return len(_TOKEN.findall(text))


class Corpus:
    """Passages with an index from words to the passages that hold them.

    Args:
        topics: Texts by topic name; the first line of a text is its title.
    """

    def __init__(self, topics: Mapping[str, str]) -> None:
        self.passages = [passage for topic, text in topics.items() for passage in _split(topic, text)]
        self._first = {passage.topic: n for n, passage in reversed(list(enumerate(self.passages)))}
        self._titles: dict[str, list[int]] = {}
        for topic, text in topics.items():
            for word in set(words(f"{topic} {text.partition(chr(10))[0]}")):
                self._titles.setdefault(word, []).append(self._first[topic])
        self._postings = _weigh([Counter(words(passage.text)) for passage in self.passages])

    @cached_property
    def edition(self) -> str:
        """What tells this corpus from that of another Python: 12 hex characters, from all its passages."""
        digest = hashlib.sha256()
        for passage in self.passages:
            digest.update(f"{passage.topic}\0{passage.text}\0".encode())
        return digest.hexdigest()[:12]

    async def read(self, numbers: Sequence[int]) -> list[Passage]:
        """The passages of these numbers, in this order."""
        return [self.passages[number] for number in numbers]

    def search(self, query: str, *, limit: int = 5) -> list[Hit]:
        """The passages that speak of a query, best first; empty when none does.

        Args:
            query: Any text. The exact name of a topic finds the beginning of that topic.
            limit: At most so many passages.
        """
        scores = self._score(set(words(query)) - _ASKING)
        named = self._first.get(query.strip().lower())
        if named is not None:
            scores[named] = 2.0 * max(scores.values(), default=1.0)
        best = heapq.nlargest(_CANDIDATES, scores.items(), key=lambda item: (item[1], -item[0]))
        hits = [Hit(n, score * (1 + self._shared(query, n))) for n, score in best]
        return sorted(hits, key=lambda hit: -hit.score)[:limit]

    def _score(self, asked: set[str]) -> dict[int, float]:
        """BM25 over the passages, with a bonus where a word is in the topic's title."""
        scores: dict[int, float] = {}
        for word in asked:
            found = self._postings.get(word, [])
            if len(found) <= _COMMON_SHARE * len(self.passages):
                rarity = math.log(1 + (len(self.passages) - len(found) + 0.5) / (len(found) + 0.5))
                for number, weight in found:
                    scores[number] = scores.get(number, 0.0) + rarity * weight
            for number in self._titles.get(word, []):
                scores[number] = scores.get(number, 0.0) + _TITLE_BONUS
        return scores

    def _shared(self, query: str, number: int) -> float:
        """The share of the query that stands in the passage in one piece, 0 to 1."""
        text = self.passages[number].text.lower()
        match = SequenceMatcher(None, query.lower(), text, autojunk=False).find_longest_match()
        return match.size / len(query)

    def is_topic(self, query: str) -> bool:
        """Whether a query is just the name of a topic."""
        return query.strip().lower() in self._first


def _weigh(counts: list[Counter[str]]) -> dict[str, list[tuple[int, float]]]:
    """For each word the passages that hold it, with its BM25 weight in each."""
    postings: dict[str, list[tuple[int, float]]] = {}
    lengths = [sum(count.values()) for count in counts]
    average = sum(lengths) / len(lengths)
    for number, count in enumerate(counts):
        norm = _K1 * (1 - _B + _B * lengths[number] / average)
        for word, times in count.items():
            postings.setdefault(word, []).append((number, times * (_K1 + 1) / (times + norm)))
    return postings


def _split(topic: str, text: str) -> Iterator[Passage]:
    """Whole paragraphs, gathered until they are about as long as an answer."""
    gathered = ""
    for paragraph in text.split("\n\n"):
        if gathered and len(gathered) + len(paragraph) > _PASSAGE_CHARS:
            yield Passage(topic, gathered)
            gathered = ""
        gathered = f"{gathered}\n\n{paragraph}" if gathered else paragraph.strip("\n")
    if gathered:
        yield Passage(topic, gathered)


@cache
def load() -> Corpus:
    """The corpus of this Python, indexed once per process."""
    from pydoc_data.topics import topics

    return Corpus(topics)
