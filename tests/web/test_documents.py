"""What is the same for everybody is made once: the API's description, its page, styles and scripts."""

import asyncio
import gzip

import pytest
from fastapi import FastAPI

from backend.web import description
from backend.web.pages import statics
from backend.web.prepared import Once, Prepared
from tests.conftest import Client

PATHS = ("/openapi.json", "/docs", "/docs/style.css", "{script}")


@pytest.mark.parametrize("path", PATHS)
def test_comes_packed_with_an_etag_and_not_again(admin: Client, path: str) -> None:
    nobody = admin.speaking(None)
    path = path.format(script=statics.url_of("app.js"))
    plain = nobody.get(path, headers={"accept-encoding": "identity"})
    packed = nobody.get(path, headers={"accept-encoding": "br, gzip"})
    assert plain.status_code == packed.status_code == 200
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert packed.content == plain.content and plain.headers["etag"] != packed.headers["etag"]
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])
    assert plain.headers["vary"] == packed.headers["vary"] == "accept-encoding"
    for answer, accepted in ((plain, "gzip;q=0"), (packed, "gzip")):
        etag = answer.headers["etag"]
        again = nobody.get(path, headers={"accept-encoding": accepted, "if-none-match": etag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert again.headers["cache-control"] == answer.headers["cache-control"]


def test_is_described_once_for_however_many(admin: Client, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    whole = description.get_openapi
    monkeypatch.setattr(description, "get_openapi", lambda **more: made.append(1) or whole(**more))
    first = admin.get("/openapi.json").content
    assert admin.get("/docs").status_code == admin.head("/docs").status_code == 200
    assert admin.get("/openapi.json").content == first
    assert admin.head("/openapi.json").headers["etag"] and len(made) == 1


def test_whoever_goes_away_or_fails_leaves_it_to_the_next() -> None:
    made = []

    def make() -> Prepared:
        made.append(1)
        if len(made) == 1:
            raise OSError("no such file")
        return Prepared(b"x", "text/plain", {})

    async def scene() -> None:
        once = Once(make)
        with pytest.raises(OSError, match="no such"):
            await once.get()
        gone = asyncio.create_task(once.get())
        await asyncio.sleep(0)
        gone.cancel()
        assert gzip.decompress((await once.get()).packed) == b"x"
        assert await once.get() is await once.get()

    asyncio.run(scene())
    assert len(made) == 2
