"""The quadlet with everything in AWS: settings in the unit's file, the secret key a secret of Podman's."""

from pathlib import Path

from tests.containers.engines import Engine, wait_until
from tests.containers.stores import stores
from tests.systemd.service import SETTINGS, UNIT, api, drop_in, run, systemctl

SECRET = "ticket-backend-test-aws-key"


def test_service_on_aws_keeps_everything_over_a_restart(service: str, tmp_path: Path) -> None:
    before = SETTINGS.read_text()
    with stores(Engine("podman"), tmp_path) as given:
        (tmp_path / "key").write_text(given.pop("AWS_SECRET_ACCESS_KEY"))
        run("podman", "secret", "create", SECRET, str(tmp_path / "key"))
        try:
            SETTINGS.write_text(before + "".join(f"{name}={value}\n" for name, value in given.items()))
            how = f"{SECRET},type=mount,target=aws_secret_access_key,uid=1000,gid=1000,mode=0400"
            with drop_in(f"[Container]\nSecret={how}\n"):
                systemctl("restart", UNIT)
                wait_until(lambda: api().is_healthy(), 30, "a healthy service")
                health = api().health()
                assert health and health["ports"]["tickets"]["adapter"] == "dynamodb"
                ticket = api().ticket(files=("a.bin", b"x" * 5000, "application/octet-stream"))
                said = api().session.post(f"{api().url}/api/tickets/{ticket['id']}/triage").json()
                assert (said["by"], said["note"]) == ("bedrock", None)
                systemctl("restart", UNIT)
                wait_until(lambda: api().is_healthy(), 30, "a healthy service")
                (file,) = api().get(f"/api/tickets/{ticket['id']}/attachments").json()["items"]
                assert api().get(file["url"]).content == b"x" * 5000
        finally:
            SETTINGS.write_text(before)
            systemctl("restart", UNIT)
            run("podman", "secret", "rm", SECRET)
