"""Ports on AWS's engines, whatever `--adapters` says."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.adapters.aws import table
from backend.ports import Ports
from backend.settings import load_settings
from backend.wiring import wire
from tests.clouds import Clouds
from tests.conftest import on_aws, reopening


@pytest.fixture
def moto_variables(clouds: Clouds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Stores on moto's DynamoDB, which takes as many actions in a transaction as AWS."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", clouds.s3)
    monkeypatch.setattr(table, "MOST_ACTIONS", 100)
    return on_aws(tmp_path)


@pytest.fixture
def on_moto(moto_variables: dict[str, str]) -> Iterator[Ports]:
    """Ports on these."""
    ports = wire(load_settings(moto_variables, Path("/nonexistent")))
    ports.open()
    yield ports
    ports.close()


@pytest.fixture
def opened(aws_variables: dict[str, str]) -> Iterator[Callable[[], Ports]]:
    """Opens the ports, each time as another replica would."""
    with reopening(aws_variables) as open_again:
        yield open_again


@pytest.fixture
def ports(opened: Callable[[], Ports]) -> Ports:
    """One replica's ports."""
    return opened()
