"""Searches of every shape: made by Hypothesis from words of the text, and by chance from the same grammar."""

import random
from urllib.parse import urlencode

from hypothesis import strategies

from tests.bench.compare import WORDS

MOST_CHARACTERS = 500
FIELDS = [
    "status:open,waiting",
    "severity:low",
    "category:Hardware",
    "tag:vpn",
    "team:none",
    "assignee:none",
    "requester:a@example.org",
    "is:overdue",
    "created:>=2020-01-01",
    "updated:2020..2040",
    "number:1..99999",
    "nothing:such",
]
ODD = ["", '"', "*", "-", '""', "(", "OR", "NEAR", "a" * 200, "ﷺ" * 20, "%", "\x00", "日本", "é" * 100, "12", "#12"]

_word = strategies.sampled_from(WORDS)
_phrase = strategies.lists(_word, min_size=1, max_size=60).map(lambda words: f'"{" ".join(words)}"')
_prefix = strategies.tuples(_word, strategies.integers(1, 4)).map(lambda pair: f"{pair[0][: pair[1]]}*")
_one = strategies.one_of(
    _word, _phrase, _prefix, strategies.sampled_from(FIELDS), strategies.sampled_from(ODD), strategies.text(max_size=30)
)
_term = strategies.tuples(strategies.sampled_from(["", "", "", "-"]), _one).map("".join)
_sort = strategies.sampled_from(["relevance", "created", "-created", "updated", "-updated", "due", "severity"])
queries = strategies.lists(_term, min_size=1, max_size=80).map(lambda terms: " ".join(terms)[:MOST_CHARACTERS])
"""What people may type, and what they wouldn't."""
paths = strategies.one_of(
    queries.map(lambda q: "/api/search?" + urlencode({"q": q})),
    strategies.tuples(queries, _sort).map(
        lambda pair: "/api/tickets?" + urlencode({"q": pair[0], "sort": pair[1], "limit": 200})
    ),
    queries.map(lambda q: "/queue?" + urlencode({"q": q})),
    queries.map(lambda q: "/api/memories?" + urlencode({"q": q})),
)


def random_path() -> str:
    """One by chance, far faster than Hypothesis makes them."""
    terms = []
    for _ in range(random.choice([1, 1, 2, 5, 20, 60])):
        word = random.choice(WORDS)
        kinds = [word, word, f'"{" ".join(random.choices(WORDS, k=random.choice([2, 10, 60])))}"', f"{word[:2]}*"]
        kinds += [random.choice(FIELDS), random.choice(ODD), f"-{word}"]
        terms.append(random.choice(kinds))
    q = " ".join(terms)[:MOST_CHARACTERS]
    path = random.choice(["/api/search?", "/api/search?", "/api/tickets?limit=200&", "/queue?", "/api/memories?"])
    return path + urlencode({"q": q})
