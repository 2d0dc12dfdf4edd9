"""What each attack does to somebody else's requests and to the server's memory: `python -m tests.bench.siege`.

Prints a table: the bystander's p99 before and during the attack, the longest of its requests, memory (PSS of all
processes), and how long after the attack its requests are as fast as before. Nothing is asserted here. Wanted: a p99 of
at most three times the quiet one and never over 1 s, memory of at most 1.5 times the idle one and 64 MB, recovery in 5 s.
"""

import argparse
import tempfile
from pathlib import Path

from tests.siege.attacks import ATTACKS, heavy
from tests.siege.bystander import RECOVERY_SECONDS, SLOW, besiege, look_at_idle
from tests.siege.servers import MEGABYTE, copy, fill, serving

assert heavy, "importing it enters its attacks"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=5.0, help="for each attack")
    parser.add_argument("--only", nargs="*", choices=list(ATTACKS), help="these attacks")
    parser.add_argument("--json", action="store_true", help="all that was measured, a line for each attack")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        contents = Path(folder) / "contents"
        fill(contents)
        for workers in asked.workers:
            print(f"\n{workers} {'worker' if workers == 1 else 'workers'}, {asked.seconds:g} s an attack\n")
            print(
                "| attack | p99 quiet, ms | p99 during | longest | failed | memory idle, MB | at most | recovery, s | over |"
            )
            print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
            for number, name in enumerate(asked.only or ATTACKS):
                root = copy(contents, Path(folder) / f"{workers}-{number}")
                with serving(root, workers) as server:  # a fresh one, so that memory is this attack's own
                    verdict = besiege(server, name, asked.seconds, look_at_idle(server, asked.seconds))
                over = [
                    word
                    for word, is_over in {
                        "p99": verdict.during > SLOW * verdict.quiet,
                        "1 s": verdict.longest > 1,
                        "memory": verdict.most_memory > 1.5 * verdict.idle_memory + 64 * MEGABYTE,
                        "recovery": verdict.recovery > RECOVERY_SECONDS,
                    }.items()
                    if is_over
                ]
                print(
                    f"| {name} | {verdict.quiet * 1000:.0f} | {verdict.during * 1000:.0f} "
                    f"| {verdict.longest * 1000:.0f} | {len(verdict.failures)} of {verdict.requests} "
                    f"| {verdict.idle_memory / MEGABYTE:.0f} | {verdict.most_memory / MEGABYTE:.0f} "
                    f"| {verdict.recovery:.1f} | {', '.join(over)} |",
                    flush=True,
                )
                if asked.json:
                    print(verdict.show(), flush=True)


if __name__ == "__main__":
    main()
