"""The style sheets are one: a class that two of them speak of must mean the same in both."""

import re
from collections import defaultdict
from pathlib import Path

# The one for paper speaks of every part, and lays out none.
SHEETS = sorted((Path(__file__).parents[2] / "backend/web/static/css").glob("[!7]-*.css"))
# Parts and words that pages share. Everything else belongs to one sheet alone.
SHARED = {"button", "buttons", "composer", "ends", "field", "filters", "icon", "late", "meta", "name", "num", "person"}
SHARED |= {"bulk", "fact", "pick", "promises", "quiet", "rail", "save", "seek", "sev", "soft", "status", "tag", "wrong"}


def classes(sheet: str) -> dict[str, list[str]]:
    """Each class of a sheet, and the selectors that speak of it."""
    found = defaultdict(list)
    for selectors in re.findall(r"([^{}]+)\{", re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)):
        for selector in [] if selectors.strip().startswith("@") else selectors.split(","):
            for name in re.findall(r"\.([a-zA-Z_][\w-]*)", selector):
                found[name].append(selector.strip())
    return found


def test_no_class_serves_two_parts() -> None:
    sheets = {path.name: classes(path.read_text()) for path in SHEETS}
    assert len(sheets) > 4 and "row" in sheets["2-queue.css"]
    places = defaultdict(list)
    for sheet, found in sheets.items():
        for name in found:
            places[name].append(sheet)
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert twice.keys() <= SHARED, {name: where for name, where in twice.items() if name not in SHARED}
    assert twice.keys() == SHARED, "no longer shared"


def test_a_shared_class_is_laid_out_in_one_sheet_only() -> None:
    """Others speak of it only within a part of theirs (`.event .icon`), or of where it is printed."""
    bare = defaultdict(set)
    for path in SHEETS:
        screen = re.sub(r"@media print \{(?:[^{}]|\{[^{}]*\})*\}", "", path.read_text())
        for name, selectors in classes(screen).items():
            if any(re.fullmatch(rf"[a-z]*\.{name}(:[\w-]+(\(.*\))?)*( [a-z]+)*", one) for one in selectors):
                bare[name].add(path.name)
    assert {name: where for name, where in bare.items() if len(where) > 1} == {}
