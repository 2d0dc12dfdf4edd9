"""Ports on AWS's engines, whatever `--adapters` says."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.adapters.aws import table
from backend.ports import Ports
from backend.settings import load_settings
from backend.wiring import CloudSetup, wire
from tests.clouds import Clouds
from tests.clouds import variables as clouds_variables
from tests.conftest import variables


@pytest.fixture
def on_moto(clouds: Clouds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ports]:
    """Ports on moto's DynamoDB, which takes as many actions in a transaction as AWS."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", clouds.s3)
    monkeypatch.setattr(table, "MOST_ACTIONS", 100)
    settings = load_settings(variables(tmp_path, **clouds_variables()), Path("/nonexistent"))
    CloudSetup(settings).make()
    ports = wire(settings)
    ports.open()
    yield ports
    ports.close()


@pytest.fixture
def opened(aws_variables: dict[str, str]) -> Iterator[Callable[[], Ports]]:
    """Opens the ports, each time as another replica would."""
    held: list[Ports] = []

    def open_again() -> Ports:
        ports = wire(load_settings(aws_variables, Path("/nonexistent")))
        ports.open()
        held.append(ports)
        return ports

    yield open_again
    for ports in held:
        ports.close()


@pytest.fixture
def ports(opened: Callable[[], Ports]) -> Ports:
    """One replica's ports."""
    return opened()
