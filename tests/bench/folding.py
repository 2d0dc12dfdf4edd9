"""What folded words cost in SQLite: `python -m tests.bench.folding [--count N] [--texts FILE.csv.gz] [--cjk SHARE]`.

The same tickets' texts in three indexes, one after the other in one run: FTS5's unicode61 as it was before decision 29,
folded words as they are now, and trigrams beside unicode61. Size, processor time of filling, of one more ticket, and of
searches; each with how that compares with the first.
"""

import argparse
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from backend.adapters.embedded import search
from backend.domain.folding import for_index
from backend.domain.search import parse
from tests.bench import corpus

SENTENCES = (
    "プリンターで印刷できません。設定を確認してください。", "ネットワークに接続できないのでパスワードを再設定したいです。",
    "无法连接到打印机，请帮忙重置密码。", "电脑蓝屏，重新启动后仍然出现错误代码。", "프린터가 작동하지 않습니다. 비밀번호를 재설정해 주세요.",
    "เครื่องพิมพ์ไม่ทำงาน กรุณาตรวจสอบการเชื่อมต่อเครือข่าย",
)  # fmt: skip
QUERIES = ("password", "please", "pass*", '"password reset"', corpus.RARE, "印刷", "パスワード", "打印机")
_COLUMNS = "title, description, resolution"
_PREFIX = "prefix = '1 2', content = ''"
UNICODE = f"{_PREFIX}, tokenize = 'unicode61 remove_diacritics 2'"
Index = tuple[str, Callable[[str], str]]
WAYS: dict[str, Sequence[Index]] = {
    "unicode61, as before": [(UNICODE, str)],
    "folded words and pairs": [(f"{_PREFIX}, tokenize = 'ascii'", for_index)],
    "unicode61 and trigrams": [(UNICODE, str), ("content = '', tokenize = 'trigram'", str)],
}


def texts(count: int, source: Sequence[str], share: float) -> list[tuple[str, str, str]]:
    """Titles, descriptions and solutions; `share` of them in languages without spaces."""
    chance = random.Random(3)
    found = []
    for number in range(count):
        if chance.random() < share:
            text = "".join(chance.choices(SENTENCES, k=chance.randint(2, 8)))
        else:
            text = chance.choice(source) + (f" {corpus.RARE}" if number % 50_000 == 7 else "")
        found.append((text[:80], text, chance.choice(source)[:200]))
    return found


def expression(query: str, index: Index) -> str:
    """The query as this index is asked."""
    if index[1] is for_index:
        return search.expression(parse(query))
    words = query.strip('"*')
    return f'"{words}"' + (" *" if query.endswith("*") else "")


def measured(work: Callable[[], object], tries: int = 5) -> float:
    """Median milliseconds of processor time."""
    found = []
    for _ in range(tries):
        started = time.process_time()
        work()
        found.append((time.process_time() - started) * 1000)
    return statistics.median(found)


def figures(path: Path, indexes: Sequence[Index], rows: Sequence[tuple[str, str, str]]) -> dict[str, float]:
    """Everything that is measured, by name."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        names = [f"t{number}" for number in range(len(indexes))]
        for name, (options, _) in zip(names, indexes, strict=True):
            connection.execute(f"CREATE VIRTUAL TABLE {name} USING fts5 ({_COLUMNS}, {options})")

        def add(key: int, row: Sequence[str]) -> None:
            for name, (_, fold) in zip(names, indexes, strict=True):
                sql = f"INSERT INTO {name} (rowid, {_COLUMNS}) VALUES (?, ?, ?, ?)"
                connection.execute(sql, (key, *map(fold, row)))

        started = time.process_time()
        for start in range(0, len(rows), 5_000):
            connection.execute("BEGIN")
            for key, row in enumerate(rows[start : start + 5_000], start + 1):
                add(key, row)
            connection.execute("COMMIT")
        found = {"filling, µs a ticket": (time.process_time() - started) * 1e6 / len(rows)}
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        found["size, bytes a ticket"] = path.stat().st_size / len(rows)
        keys = iter(range(len(rows) + 1, len(rows) + 1_000))
        found["one more ticket, a commit, ms"] = measured(lambda: add(next(keys), rows[0]), 50)
        for query in QUERIES:
            asked = [(name, expression(query, index)) for name, index in zip(names, indexes, strict=True)]

            def best(asked: Sequence[tuple[str, str]] = asked) -> list[object]:
                return [
                    sorted(
                        connection.execute(
                            f"SELECT rank, rowid FROM {name} WHERE {name} MATCH ? ORDER BY rowid DESC LIMIT 1000",
                            (match,),
                        ).fetchall()
                    )
                    for name, match in asked
                ]

            matches = sum(
                connection.execute(f"SELECT count(*) FROM {name} WHERE {name} MATCH ?", (match,)).fetchone()[0]
                for name, match in asked
            )
            found[f"{query}: matches"] = matches
            found[f"{query}: ranked, ms"] = measured(best)
    return found


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--texts", type=Path, help="a .csv.gz whose first column is a text")
    parser.add_argument("--cjk", type=float, default=0.1, help="share of texts without spaces")
    parser.add_argument("--dir", help="where the databases lie: a real disk")
    asked = parser.parse_args()
    rows = texts(asked.count, corpus.texts(asked.texts), asked.cjk)
    with tempfile.TemporaryDirectory(dir=asked.dir) as root:
        ways = {
            name: figures(Path(root) / f"{number}.db", way, rows) for number, (name, way) in enumerate(WAYS.items())
        }
    first = next(iter(ways.values()))
    print(f"{asked.count} tickets, {asked.cjk:.0%} without spaces: " + " | ".join(ways))
    for name in first:
        values = [
            f"{found[name]:10.1f} ({found[name] / first[name]:.2f} x)" if first[name] else f"{found[name]:10.1f}"
            for found in ways.values()
        ]
        print(f"{name:34} " + " | ".join(values), flush=True)


if __name__ == "__main__":
    main()
