"""The compose file for production with everything in AWS: the same workflow, and nothing of it in the volumes."""

from pathlib import Path

from tests.containers.engines import Engine, compose_tools
from tests.containers.stores import stores
from tests.containers.test_compose import PRODUCTION, no_controllers, project, secret_file, walk
from tests.models import MODEL


def test_production_on_aws(engine: Engine, tmp_path: Path) -> None:
    tool = compose_tools(engine.name)[0]
    with (
        stores(engine, tmp_path) as given,
        project(engine, tool, tmp_path / "tree", PRODUCTION, **no_controllers(), **given) as made,
    ):
        secret_file(made.folder)
        tmp_path.chmod(0o755)
        walk(made)
        api = made.up()
        adapters = {name: port["adapter"] for name, port in api.health()["ports"].items()}
        assert adapters["tickets"] == "dynamodb" and adapters["uploads"] == "s3" and adapters["jobs"] == "sqs"
        assert adapters["assistant"] == "bedrock"
        said = api.session.post(f"{api.url}/api/tickets/{api.ticket()['id']}/triage").json()
        assert (said["by"], said["model"], said["note"]) == ("bedrock", MODEL, None)
        assert made.container().exec("ls", "/app/data", "/app/uploads").stdout.split() == [
            "/app/data:",
            "/app/uploads:",
        ]
