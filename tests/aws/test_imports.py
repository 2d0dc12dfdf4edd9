"""An import on AWS's engines, whose batches have more actions than DynamoDB Local of 2020 takes: on moto."""

from backend.main import create_app
from backend.settings import load_settings
from tests.conftest import ADMIN_TOKEN, Client
from tests.web.test_imports import imported


def test_rows_come_in_batches_once_each_and_in_order(moto_variables: dict[str, str]) -> None:
    rows = [f"n{n},{'low' if n % 7 else 'no'}\n" for n in range(50)]
    with Client(create_app(load_settings(moto_variables)), raise_server_exceptions=False) as client:
        admin = client.speaking(ADMIN_TOKEN)
        done = imported(admin, ("t,s\n" + "".join(rows)).encode(), {"columns": {"t": "title", "s": "severity"}})
        found = [ticket["title"] for ticket in admin.get("/api/tickets?sort=number&limit=200").json()["items"]]
    assert (done["tickets_made"], done["rows_refused"]) == (42, 8)
    assert found == [f"n{n}" for n in range(50) if n % 7]
