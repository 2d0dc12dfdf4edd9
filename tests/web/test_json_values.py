"""How much a body of JSON may hold, whatever it is: each value that is wrong would cost a line of the answer."""

import json

import pytest

from backend.web.forms import MOST_VALUES
from tests.client import Client
from tests.conftest import problem

DRAFT = {"title": "T", "severity": "low", "category": "C", "description": "D"}
MANY = 200_000


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"tags":[' + b"1," * MANY + b"1]}", id="wrong tags"),
        pytest.param(b'{"tags":[' + b'"a",' * MANY + b'"a"]}', id="too many tags"),
        pytest.param(b'{"a":1' + b',"a":1' * MANY + b"}", id="one unknown field many times"),
        pytest.param(b"{" + b",".join(b'"%d":{}' % one for one in range(MANY // 2)) + b"}", id="unknown fields"),
        pytest.param(b'{"tags":[[' + b"[],[]," * MANY + b"[]]]}", id="lists"),
        pytest.param(
            b'{"title":"\\",", "tags":["\\\\"' + b',"\\\\"' * MANY + b"]}", id="strings that end in backslashes"
        ),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/api/tickets"), ("POST", "/api/memories"), ("PUT", "/api/sla")])
def test_json_of_many_values_is_refused(admin: Client, method: str, path: str, body: bytes) -> None:
    answer = admin.request(method, path, content=body, headers={"content-type": "application/json"})
    assert f"{MOST_VALUES:,} values" in problem(answer, 422)["detail"]


@pytest.mark.parametrize(
    "body", [b'"' * 500_000 + b"," * MANY, b'"\\' * 500_000 + b"," * MANY, b"," * MANY, b"[" * MANY]
)
def test_what_is_no_json_is_refused_as_ever(admin: Client, body: bytes) -> None:
    answer = admin.post("/api/tickets", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (413, 422)


@pytest.mark.parametrize("text", [",", '",', '\\",', "{,[", ',"'])
def test_text_may_hold_as_many_commas_as_it_likes(admin: Client, text: str) -> None:
    description = (text * 100_000)[:100_000]
    answer = admin.post("/api/tickets", json={**DRAFT, "description": description})
    assert answer.status_code == 201, answer.text
    assert answer.json()["description"] == description


def test_a_mapping_of_many_values_is_refused(admin: Client) -> None:
    mapping = json.dumps({"columns": {}, "x": [1] * 100_000})
    answer = admin.post("/api/imports", data={"mapping": mapping}, files={"file": ("t.csv", b"a\r\n1\r\n")})
    assert "20,000 values" in problem(answer, 422)["detail"]
