"""How long the container takes to be healthy, and what it holds idle, against a minimal FastAPI image with the same
packages: `python -m tests.bench.start [podman|docker]`, where that engine runs. Alternating rounds, medians, ratios."""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import requests

from tests.containers.engines import ROOT, RUN, TOKEN, Engine, free_port

MINIMAL = """FROM {image}
COPY minimal.py /app/minimal.py
ENV MINIMAL_DB=/app/data/minimal.db
CMD ["uvicorn", "minimal:app", "--host", "0.0.0.0", "--port", "8000", "--no-access-log"]
"""
MEMORY = "print(sum(int(l.split()[1]) for l in open('/proc/1/smaps_rollup') if l.startswith('Pss:')))"


def once(engine: Engine, image: str, path: str) -> tuple[float, float]:
    """Seconds from `run` to the first 200, and megabytes (PSS) of the process a moment later."""
    port = free_port()
    started = time.perf_counter()
    with engine.container(image, f"--publish=127.0.0.1:{port}:8000", "-e", f"ADMIN_TOKEN={TOKEN}") as container:
        while True:
            try:
                if requests.get(f"http://127.0.0.1:{port}{path}", timeout=1).status_code == 200:
                    break
            except requests.RequestException:
                time.sleep(0.01)
        seconds = time.perf_counter() - started
        time.sleep(1)
        return seconds, int(container.python(MEMORY)) / 1024


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", nargs="?", default="podman", choices=("podman", "docker"))
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    engine = Engine(asked.engine)
    ours, minimal = f"localhost/{RUN}:ours", f"localhost/{RUN}:minimal"
    engine.build(ROOT, ours)
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        (context / "Containerfile").write_text(MINIMAL.format(image=ours))
        (context / "minimal.py").write_text((ROOT / "tests/bench/minimal.py").read_text())
        engine.build(context, minimal)
    rounds = [(once(engine, ours, "/health"), once(engine, minimal, "/null/1")) for _ in range(asked.rounds)]
    for index, what, unit in ((0, "start to healthy", "s"), (1, "idle memory, PSS", "MB")):
        a, b = (statistics.median(one[side][index] for one in rounds) for side in (0, 1))
        print(f"{engine.name}: {what}: {a:.2f} {unit} against {b:.2f} {unit}, ratio {a / b:.2f} (at most 1.5)")
    engine.run("rmi", "-f", minimal, ours, check=False)


if __name__ == "__main__":
    main()
