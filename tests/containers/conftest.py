"""Every test here runs on every engine that runs a container on this machine."""

from collections.abc import Iterator

import pytest

from tests.containers.engines import ROOT, RUN, Engine, compose_tools

ENGINES = ("podman", "docker")
_checked: dict[str, str | None] = {}


def wanted(config: pytest.Config) -> list[str]:
    only = config.getoption("--engine")
    return [only] if only else list(ENGINES)


def why_not(name: str) -> str | None:
    """Why an engine runs no container here, found out once."""
    if name not in _checked:
        _checked[name] = Engine(name).why_not()
    return _checked[name]


def header(config: pytest.Config) -> list[str]:
    """What `tests/conftest.py` puts at the head of a run that has container tests in it."""
    lines = []
    for name in wanted(config):
        reason = why_not(name)
        if reason:
            lines.append(f"engine {name}: none ({reason})")
        else:
            tools = ", ".join(" ".join(tool) for tool in compose_tools(name)) or "no compose tool"
            lines.append(f"engine {name}: {Engine(name).version}; {tools}")
    return lines


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", wanted(metafunc.config), indirect=True, scope="session")


def usable(name: str, config: pytest.Config) -> Engine:
    reason = why_not(name)
    if reason:
        required = config.getoption("--require-engines").split(",")
        (pytest.fail if name in required else pytest.skip)(f"{name}: {reason}")
    return Engine(name)


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Engine:
    """One of the engines."""
    return usable(request.param, request.config)


@pytest.fixture(scope="session")
def image(engine: Engine) -> Iterator[str]:
    """The backend's image, built once an engine."""
    tag = f"localhost/{RUN}:latest"
    engine.build(ROOT, tag)
    yield tag
    engine.run("rmi", "-f", tag, check=False)
