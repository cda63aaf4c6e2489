"""`GET /status`: the nodes and devices on one page that loads nothing from elsewhere and holds no key.

The page asks its reader for an API key and then asks `GET /v1/nodes` each second, from the browser. Its
Content-Security-Policy allows its own style and script by their hashes, requests to this gateway, and nothing else
(https://www.w3.org/TR/CSP3/).
"""

import base64
import hashlib
import re
from pathlib import Path

from starlette.responses import HTMLResponse, Response

PAGE = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")


def _hash_of(tag: str) -> str:
    inline = re.search(f"<{tag}>(.*?)</{tag}>", PAGE, re.DOTALL)
    assert inline is not None
    return f"'sha256-{base64.b64encode(hashlib.sha256(inline[1].encode()).digest()).decode()}'"


HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src {_hash_of('style')}; script-src {_hash_of('script')}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


async def status_page() -> Response:
    """The page, the same for everybody."""
    return HTMLResponse(PAGE, headers=HEADERS)
