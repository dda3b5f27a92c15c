"""The HTML of a streaming session, which is no picture of a desktop but says who would be seeing which.

Reference: https://docs.aws.amazon.com/appstream2/latest/developerguide/embed-streaming-sessions.html
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from portal.localcloud.standins import pages
from portal.localcloud.standins.faults import Reply

END_PATH, DISCONNECT_PATH = "/streaming/end", "/streaming/disconnect"
# Loopback addresses are no domains, so that one stands for them.
LOOPBACK_DOMAIN = "portal.localhost"
_LOOPBACK = "http://127.0.0.1:* http://localhost:*"
_SHELL = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head>
<body><main><h1>{title}</h1>{body}</main></body></html>
"""
_STYLE = """
:root { color-scheme: light dark }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 16px/1.5 system-ui, sans-serif;
  color: light-dark(#16202c, #e8eef5); background: light-dark(#dfe7f0, #0e151d) }
main { box-sizing: border-box; width: min(36rem, 100% - 2rem); margin: 1rem; padding: 1.5rem 2rem; border-radius: 12px;
  background: light-dark(#fff, #1a2530); box-shadow: 0 2px 18px #0003 }
h1 { margin: 0 0 1rem; font-size: 1.4rem; overflow-wrap: anywhere }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1.25rem; margin: 0 0 1.25rem }
dt { color: light-dark(#556474, #9fb0c2) } dd { margin: 0; overflow-wrap: anywhere }
dd.context { white-space: pre-wrap; font-family: ui-monospace, monospace; font-size: .9rem }
.acts { display: flex; flex-wrap: wrap; gap: .75rem } .acts p { margin: 0 }
button { font: inherit; padding: .5rem 1.1rem; border: 1px solid light-dark(#5b6b7c, #8fa1b3); border-radius: 8px;
  color: inherit; background: none; cursor: pointer }
button:focus-visible { outline: 3px solid #4a90d9; outline-offset: 2px }
"""


@dataclass(frozen=True)
class View:
    """What a page says of a session. what is the application or the desktop; expires_at is seconds since 1970."""

    what: str
    user_id: str
    stack: str
    fleet: str
    session_id: str
    state: str
    expires_at: float
    context: str
    domains: tuple[str, ...]


def policy(domains: Iterable[str]) -> str:
    """Return the Content-Security-Policy of a page that the given domains may embed."""
    allowed: list[str] = []
    for domain in domains:
        allowed.append(f"http://{domain}:* https://{domain}")
        if domain == LOOPBACK_DOMAIN:
            allowed.append(_LOOPBACK)
    ancestors = " ".join(allowed) or "'none'"
    return f"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors {ancestors}"


def session_page(view: View, secret: str) -> Reply:
    """Show a session; the secret is the page's own, for its buttons."""
    until = datetime.fromtimestamp(view.expires_at, UTC)
    facts = {
        "User": escape(view.user_id),
        "Streams": escape(view.what),
        "Stack": escape(view.stack),
        "Fleet": escape(view.fleet),
        "Session": escape(view.session_id),
        "State": escape(view.state),
        "Until": f'<time datetime="{until.isoformat()}">{until:%Y-%m-%d %H:%M:%S} UTC</time>',
    }
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())
    if view.context:
        rows += f'<dt>Context</dt><dd class="context">{escape(view.context)}</dd>'
    acts = pages.form(END_PATH, button="End session", page=secret)
    acts += pages.form(DISCONNECT_PATH, button="Disconnect", page=secret)
    body = f'<dl>{rows}</dl><div class="acts">{acts}</div>'
    return _page(f"Streaming · {view.what}", body, 200, view.domains)


def notice(text: str, status: int, domains: Iterable[str] = (), detail: str = "") -> Reply:
    """Say something in place of a session."""
    return _page(text, pages.paragraph(detail), status, domains)


def _page(title: str, body: str, status: int, domains: Iterable[str]) -> Reply:
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": policy(domains),
    }
    return Reply(status, headers, _SHELL.format(title=escape(title), style=_STYLE, body=body).encode())
