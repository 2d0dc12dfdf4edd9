"""A table, a bucket, a queue and a model for one container, on moto's server and a stand-in of our own: they need no Java,
and a container reaches them.

moto takes as many actions in a transaction as AWS, so the image runs as it is. What several replicas at once do to a store
is for DynamoDB Local (`fleet.py`).
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backend.settings import load_settings
from backend.wiring import CloudSetup
from tests.clouds import moto, variables
from tests.containers.engines import Engine
from tests.models import MODEL, standing_in
from tests.relay import Relay


@contextmanager
def stores(engine: Engine, folder: Path) -> Iterator[dict[str, str]]:
    """The variables that a container of this engine needs for them."""
    with (
        moto(folder) as address,
        Relay(address, "0.0.0.0") as relay,
        standing_in() as models,
        Relay(models.address, "0.0.0.0") as model,
        pytest.MonkeyPatch.context() as patch,
    ):
        given = variables()
        names = [f"AWS_ENDPOINT_URL_{service}" for service in ("DYNAMODB", "S3", "SQS")]
        for name in names:  # for this process; other tests of the session may have named others
            patch.setenv(name, address)
        CloudSetup(load_settings(given, Path("/nonexistent"))).make()
        yield given | {
            **dict.fromkeys(names, f"http://{_this_machine(engine)}:{relay.port}"),
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": f"http://{_this_machine(engine)}:{model.port}",
            "BEDROCK_MODEL_ID": MODEL,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def _this_machine(engine: Engine) -> str:
    """What a container calls it."""
    if engine.name == "podman":
        return "host.containers.internal"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent
        return str(probe.getsockname()[0])
