"""Opening streaming URLs: each once, until it expires; and what the page of a session does.

Reference: https://docs.aws.amazon.com/appstream2/latest/developerguide/managing-stacks-fleets.html and
https://docs.aws.amazon.com/appstream2/latest/APIReference/API_CreateStreamingURL.html
"""

import uuid
from collections.abc import Callable
from dataclasses import replace

from portal.localcloud.standins import appstream_pages
from portal.localcloud.standins.appstream_fleets import RUNNING, Fleet, free_instance
from portal.localcloud.standins.appstream_pages import View, notice, session_page
from portal.localcloud.standins.appstream_records import Records, Region
from portal.localcloud.standins.appstream_session_calls import URL_PATH
from portal.localcloud.standins.appstream_sessions import EXPIRED, Session, StreamingUrl, digest, new_secret
from portal.localcloud.standins.faults import Reply
from portal.localcloud.standins.pages import Page, Request

PREFIX = "/streaming/"
DESKTOP = "DESKTOP"
_OVER = "The session is over"


class Streaming:
    """The pages at the streaming URLs."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def pages(self) -> dict[tuple[str, str], Page]:
        return {
            ("GET", URL_PATH): self.open,
            ("HEAD", URL_PATH): self.look,
            ("POST", appstream_pages.END_PATH): self.end,
            ("POST", appstream_pages.DISCONNECT_PATH): self.disconnect,
        }

    def open(self, request: Request) -> Reply:
        """Begin the session that a URL is for, or rejoin it. It uses the URL up, if there is a session."""
        if "prefetch" in request.headers.get("sec-purpose", request.headers.get("purpose", "")):
            return notice("This link is opened by a person", 503)
        with self._records.lock:
            return self._open(request)

    def look(self, request: Request) -> Reply:
        """Say what opening the URL would begin with, and leave it as it is."""
        with self._records.lock:
            found = self._find(request)
            reply = found if isinstance(found, Reply) else notice("Streaming", 200)
        return replace(reply, body=b"")

    def end(self, request: Request) -> Reply:
        def act(session: Session, now: float) -> None:
            session.ended_at = now

        return self._act(request, act, _OVER)

    def disconnect(self, request: Request) -> Reply:
        def act(session: Session, now: float) -> None:
            session.disconnected_at = now

        return self._act(request, act, "You are disconnected", "The session goes on. A new link takes you back to it.")

    def _find(self, request: Request) -> tuple[Region, StreamingUrl] | Reply:
        """Return a URL that can be opened, and where it is from, or the page that says why not."""
        name = digest(request.query.get("parameters", ""))
        for region in self._records.regions():
            url = region.urls.get(name)
            if url is None:
                continue
            domains = _domains(region, url.stack)
            if url.is_used:
                return notice("This link was used already", 403, domains)
            if self._records.now() >= url.expires_at:
                return notice("This link has expired", 403, domains)
            return region, url
        return notice("There is no such link", 404)

    def _open(self, request: Request) -> Reply:
        found = self._find(request)
        if isinstance(found, Reply):
            return found
        region, url = found
        now, fleet, domains = self._records.now(), region.fleets.get(url.fleet), _domains(region, url.stack)
        if fleet is None or (url.fleet, url.stack) not in region.associations or fleet.state(now) != RUNNING:
            return notice("The fleet is not running", 503, domains)
        live = region.live_sessions(fleet.name, now, url.stack)
        session = next((one for one in live if one.user_id == url.user_id), None)
        if session is None:
            session = self._begin(region, fleet, url, now)
        if session is None:
            return notice("No streaming instance is free", 503, domains)
        secret = new_secret()
        url.is_used = True
        session.application, session.context, session.disconnected_at = url.application, url.context, None
        session.pages.append(digest(secret))
        self._records.on_change()
        return session_page(_view(session, fleet, now, domains), secret)

    def _begin(self, region: Region, fleet: Fleet, url: StreamingUrl, now: float) -> Session | None:
        new = f"i-{uuid.uuid4().hex[:17]}"
        instance = free_instance(fleet, fleet.state(now), region.instances(fleet.name, now), new)
        if instance is None:
            return None
        session = Session(
            id=str(uuid.uuid4()),
            stack=url.stack,
            fleet=fleet.name,
            user_id=url.user_id,
            instance_id=instance,
            started_at=now,
            active_at=now + self._records.session_start_seconds,
            expires_at=now + fleet.properties["MaxUserDurationInSeconds"],
            disconnect_seconds=fleet.properties["DisconnectTimeoutInSeconds"],
        )
        region.sessions[session.id] = session
        return session

    def _act(self, request: Request, act: Callable[[Session, float], None], title: str, detail: str = "") -> Reply:
        """Do what a button of a session's page is for; its secret says which session."""
        page = digest(request.form.get("page", ""))
        with self._records.lock:
            now = self._records.now()
            for region in self._records.regions():
                session = next((one for one in region.sessions.values() if page in one.pages), None)
                if session is None:
                    continue
                domains = _domains(region, session.stack)
                if session.state(now) == EXPIRED:
                    return notice(_OVER, 200, domains)
                act(session, now)
                self._records.on_change()
                return notice(title, 200, domains, detail)
        return notice("There is no such session", 404)


def _domains(region: Region, stack: str) -> tuple[str, ...]:
    """Return the domains that may embed a stack's sessions."""
    found = region.stacks.get(stack)
    return tuple(found.properties.get("EmbedHostDomains", ())) if found else ()


def what_is_shown(application: str, stream_view: str) -> str:
    """Return what a session shows. The application of a fleet's desktop is called Desktop, or not at all."""
    if stream_view == DESKTOP and application in ("", DESKTOP.capitalize()):
        return "desktop"
    return application or "all applications"


def _view(session: Session, fleet: Fleet, now: float, domains: tuple[str, ...]) -> View:
    return View(
        what=what_is_shown(session.application, fleet.properties["StreamView"]),
        user_id=session.user_id,
        stack=session.stack,
        fleet=session.fleet,
        session_id=session.id,
        state=session.state(now),
        expires_at=session.expires_at,
        context=session.context,
        domains=domains,
    )
