"""Style, script and icon: put together once, named by their content, compressed once, kept by browsers for good."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from backend.errors import NotFound
from backend.web.prepared import Prepared

router = APIRouter(include_in_schema=False)

_FOLDER = Path(__file__).parents[1] / "static"
_BUNDLES = (("app", "css", "text/css; charset=utf-8"), ("app", "js", "text/javascript; charset=utf-8"))
_FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent."""

    url: str
    answer: Prepared


def _asset(name: str, ending: str, kind: str, body: bytes) -> Asset:
    digest = hashlib.sha256(body).hexdigest()[:12]
    return Asset(f"/static/{name}-{digest}.{ending}", Prepared(body, kind, {"cache-control": _FOR_GOOD}))


@cache
def assets() -> dict[str, Asset]:
    """Every asset by its plain name. `app.css` and `app.js` are the files of their folders, in the order of names."""
    found = {}
    for name, ending, kind in _BUNDLES:
        parts = [path.read_bytes() for path in sorted((_FOLDER / ending).glob(f"*.{ending}"))]
        found[f"{name}.{ending}"] = _asset(name, ending, kind, b"\n".join(parts))
    found["zone.js"] = _asset("zone", "js", "text/javascript; charset=utf-8", (_FOLDER / "zone.js").read_bytes())
    icon = (_FOLDER / "icon.svg").read_bytes()
    found["icon.svg"] = _asset("icon", "svg", "image/svg+xml", icon)
    return found


def url_of(name: str) -> str:
    """Where an asset is."""
    return assets()[name].url


@router.get("/static/{name}")
async def static(request: Request, name: str) -> Response:
    """An asset under the name of its content; an older name is gone."""
    asset = next((one for one in assets().values() if one.url == f"/static/{name}"), None)
    if asset is None:
        raise NotFound(f"There is no file {name[:100]}.")
    return asset.answer.answer(request)
