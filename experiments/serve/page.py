"""The page at ``/``, and the policy under which a browser runs nothing but what stands in it."""

import base64
import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class Page:
    """A page of HTML, and its Content-Security-Policy."""

    html: str
    policy: str


def read_page() -> Page:
    """The page, whose script and style are allowed by their hashes."""
    html = (files("experiments") / "serve" / "page.html").read_text(encoding="utf-8")
    hashes = {kind: _hash(html, kind) for kind in ("script", "style")}
    policy = (
        f"default-src 'none'; script-src '{hashes['script']}'; style-src '{hashes['style']}'; connect-src 'self'; "
        "img-src blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Page(html, policy)


def _hash(html: str, kind: str) -> str:
    (content,) = re.findall(rf"<{kind}>(.*?)</{kind}>", html, re.DOTALL)
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
