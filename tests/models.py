"""A stand-in for Amazon Bedrock's Converse API: a real HTTP server on this machine, which answers as it is told.

It speaks the wire format that botocore's description of the service has; boto3 itself asks it. What a model would say
is the test's business: by default what the neighbours in the question vote for, as the built-in assistant would.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from backend.domain.neighbours import Neighbour, Question, Source, Subject
from backend.domain.triage import vote
from tests.builders import a_ticket

THREAD = "bedrock"  # as the adapter names those that ask
MODEL = "amazon.nova-lite-v1:0"
VARIABLES = {  # all that is set of AWS
    "AWS_ACCESS_KEY_ID": "AKIATESTTESTTEST",
    "AWS_SECRET_ACCESS_KEY": "test-secret",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "BEDROCK_MODEL_ID": MODEL,
}
_path_of = re.compile(r"/model/([^/]+)/converse").fullmatch


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    model: str
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.raw)

    @property
    def text(self) -> str:
        """What the user is said to say."""
        ((part,),) = [message["content"] for message in self.body["messages"]]
        return part["text"]

    @property
    def data(self) -> dict[str, Any]:
        """The JSON in it."""
        return json.loads(self.text.split("<data>\n")[1].split("\n</data>")[0])

    @property
    def fields(self) -> dict[str, Any]:
        """What the tool may be called with."""
        (tool,) = self.body["toolConfig"]["tools"]
        return tool["toolSpec"]["inputSchema"]["json"]["properties"]

    @property
    def is_small(self) -> bool:
        """Whether only somebody looks how it is."""
        return self.body["inferenceConfig"]["maxTokens"] < 100


@dataclass(frozen=True)
class Reply:
    """What goes back."""

    body: bytes
    status: int = 200
    error: str | None = None


Script = Callable[[Asked], Reply | None]


def message(*content: Any, stop: Any = "tool_use") -> Reply:
    """An answer of the model's."""
    whole = {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": stop,
        "usage": {"inputTokens": 900, "outputTokens": 200, "totalTokens": 1100},
        "metrics": {"latencyMs": 800},
    }
    return Reply(json.dumps(whole).encode())


def tool(given: Any, name: str = "suggest") -> dict[str, Any]:
    """A call of a tool, as a part of an answer."""
    return {"toolUse": {"toolUseId": "tooluse_1", "name": name, "input": given}}


def suggesting(given: Any) -> Script:
    """Answers with one call of the tool."""
    return lambda _: message({"text": "Let me see."}, tool(given))


def refusing(code: str, status: int = 400, text: str = "told by the stand-in") -> Script:
    """Answers with an error of AWS's."""
    return lambda _: Reply(json.dumps({"message": text}).encode(), status, code)


def voting(asked: Asked) -> Reply:
    """Answers what the neighbours say, as the built-in assistant would."""
    if asked.is_small:
        return message(tool({"well": True}, "answer"))
    near = tuple(_neighbour(one) for one in asked.data["similar"])
    allowed = {subject: _allowed(asked.fields.get(subject, {})) for subject in Subject}
    found = vote(Question(a_ticket(), near, allowed))
    return message(
        tool(
            {
                one.subject: {name: getattr(one, name) for name in ("value", "confidence", "reason", "evidence")}
                for one in found
            }
        )
    )


def _neighbour(said: dict[str, Any]) -> Neighbour:
    values = {subject: said[subject] for subject in Subject if subject in said}
    more = {"settled": said["settled"], "values": values, "similarity": said["similarity"]}
    return Neighbour(Source(said["kind"]), said["ref"], None, said["title"], said["text"], None, **more)


def _allowed(field: dict[str, Any]) -> tuple[str, ...]:
    value = field.get("properties", {}).get("value", {})
    return tuple(value.get("items", value).get("enum", ()))


class Models:
    """The server. `script` says how it answers; None breaks the connection off."""

    def __init__(self, script: Script = voting) -> None:
        self.asked: list[Asked] = []
        self._usual = script
        self.script: Script = script
        self._go = threading.Event()
        self._go.set()
        models = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                models._serve(self)

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def environ(self) -> dict[str, str]:
        """The variables that only boto3 reads: where Bedrock is."""
        return {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": self.address, "AWS_EC2_METADATA_DISABLED": "true"}

    @property
    def questions(self) -> list[Asked]:
        """Those about tickets."""
        return [one for one in self.asked if not one.is_small]

    def stall(self) -> None:
        """Answer nobody until `mend`."""
        self._go.clear()

    def mend(self) -> None:
        """Answer as at first, also those who wait; forget what was asked."""
        self.script = self._usual
        self.asked.clear()
        self._go.set()

    def close(self) -> None:
        """Listen no more."""
        self._go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        raw = handler.rfile.read(int(handler.headers["content-length"]))
        found = _path_of(handler.path)
        assert found and handler.headers["authorization"].startswith("AWS4-HMAC-SHA256 "), "signed, and of Converse"
        asked = Asked(unquote(found.group(1)), raw)
        self.asked.append(asked)
        script = self.script
        self._go.wait()
        reply = script(asked)
        if reply is None:
            handler.close_connection = True
            return
        with suppress(ConnectionError):  # whoever asked may have given up
            self._send(handler, reply)

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        handler.send_response(reply.status)
        if reply.error:
            handler.send_header(
                "x-amzn-errortype", f"{reply.error}:http://internal.amazon.com/coral/com.amazon.bedrock/"
            )
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(reply.body)))
        handler.end_headers()
        handler.wfile.write(reply.body)


@contextmanager
def standing_in(script: Script = voting) -> Iterator[Models]:
    """Start it, and stop it once nobody asks any more."""
    models = Models(script)
    yield models
    models.mend()
    for thread in threading.enumerate():
        if thread.name == THREAD:
            thread.join()
    models.close()
