"""Keep the cloud's state on disk while it runs, so that a killed server loses seconds and not the session.

MiniStack writes its state only on a graceful stop, one file per service, and forgets STS sessions. Here all
services are captured in one go on the event loop, where requests are handled, so that one snapshot is one
moment. The changed files are written to `next/` and only then renamed into `services/`: one rename per file
and not one of the whole directory, because Cognito's signing keys and Lambda's code live in that directory
too. A mark in `next/` says that it is complete, so a kill between two renames is made good at the next start,
and a kill before the mark leaves the previous snapshot whole. Nothing is fsynced: this guards against a
killed process, not against a power failure. S3 objects are written by MiniStack at once, each atomically, so
they can be newer than the snapshot.
"""

import asyncio
import hashlib
import json
import logging
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from portal.localcloud.standins.table_snapshots import TableSnapshots
from portal.localcloud.standins.touchpoints import module_with

log = logging.getLogger("portal.localcloud")

IDLE_SAVE_SECONDS = 30
# A save may take at most this share of the time, however large the state is.
BUSY_SHARE = 0.1
_READING_PREFIXES = (
    "Describe",
    "List",
    "Query",
    "Scan",
    "BatchGet",
    "Lookup",
    "Head",
    "GET ",
    "HEAD ",
    "OPTIONS ",
)
_READING_ACTIONS = frozenset(
    {
        "GetItem",
        "GetObject",
        "GetUser",
        "AdminGetUser",
        "GetCallerIdentity",
        "GetExecutionHistory",
        "GetQueueUrl",
        "GetQueueAttributes",
    }
)


def only_reads(method: str, action: str) -> bool:
    """Return whether a call certainly leaves the state as it is. ReceiveMessage, say, does not."""
    if not action:
        return method in ("GET", "HEAD", "OPTIONS")
    return action.startswith(_READING_PREFIXES) or action in _READING_ACTIONS


class Snapshots:
    """Saves the state of MiniStack's services. Without a state directory it does nothing."""

    def __init__(self, state_dir: Path | None, save_seconds: float) -> None:
        self._state_dir = state_dir
        self._save_seconds = save_seconds
        self._app = module_with(
            "ministack.app",
            "_build_persistence_save_dict",
            "PERSIST_STATE",
            "_get_module",
            "_handle_lifespan",
        )
        self._persistence = module_with(
            "ministack.core.persistence", "_json_default", "_state_format_version", "load_state"
        )
        sts, ses = (
            module_with("ministack.services.sts", "_sessions"),
            module_with("ministack.services.ses", "_sent_emails"),
        )
        # What MiniStack leaves out of its state: temporary credentials and the mails that were sent.
        self._kept: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {
            "portico-sessions": (lambda: sts._sessions, sts._sessions.update),
            "portico-mails": (lambda: ses._sent_emails, ses._sent_emails.update),
        }
        self._tables = TableSnapshots()
        self._digests: dict[str, bytes] = {}
        self._writing = threading.Lock()
        self._written_since_save = False
        self._saved_at = 0.0
        self._save_took = 0.0
        self._saves = 0

    def keep(self, name: str, get_state: Callable[[], Any], load: Callable[[Any], None]) -> None:
        """Save what get_state returns under a name of our own, and load it at the next start."""
        self._kept[name] = get_state, load

    def note_request(self, method: str, action: str) -> None:
        """Take note that a call was answered, so that the next save is not skipped if it wrote."""
        if not only_reads(method, action):
            self._written_since_save = True

    def note_write(self) -> None:
        """Take note of a change that no request made."""
        self._written_since_save = True

    def as_json(self) -> dict[str, object]:
        return {
            "saves": self._saves,
            "unsaved_writes": self._written_since_save,
            "save_took": self._save_took,
        }

    async def run_during(
        self,
        cloud: Callable[..., Awaitable[None]],
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        """Pass the server's start and stop on to MiniStack; save in between and once at the end."""
        if self._state_dir is None:
            await cloud(scope, receive, send)
            return
        self._recover(self._state_dir)
        saving: asyncio.Task[None] | None = None

        async def receive_and_save() -> Any:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                if saving is not None:
                    saving.cancel()
                self.save()
                # MiniStack would now write the same state again, without the staging above.
                self._app.PERSIST_STATE = False
            return message

        async def send_and_start(message: Any) -> None:
            nonlocal saving
            if message["type"] == "lifespan.startup.complete":
                self._load_kept()
                self._running_mark.write_text(str(time.time()))
                saving = asyncio.create_task(self._save_regularly())
            await send(message)
            if message["type"] == "lifespan.shutdown.complete":
                self._running_mark.unlink(missing_ok=True)

        await cloud(scope, receive_and_save, send_and_start)

    @property
    def _directory(self) -> Path:
        if self._state_dir is None:
            raise RuntimeError("no state directory")
        return self._state_dir

    @property
    def _running_mark(self) -> Path:
        return self._directory / "running"

    def _recover(self, state_dir: Path) -> None:
        """Finish a snapshot whose renames were cut short, and say so if the last stop was unclean."""
        staged = state_dir / "next"
        if (staged / "COMPLETE").exists():
            self._install(staged, state_dir / "services")
        if self._running_mark.exists():
            log.warning(
                "last stop was unclean; writes of the last %g seconds before it may be missing",
                self._save_seconds,
            )

    async def _save_regularly(self) -> None:
        while True:
            await asyncio.sleep(max(self._save_seconds, self._save_took / BUSY_SHARE))
            idle = time.monotonic() - self._saved_at
            # Schedules, state machines and pollers change the state without a request.
            if self._written_since_save or idle > IDLE_SAVE_SECONDS:
                began = time.monotonic()
                self._written_since_save = False
                contents = self._capture()
                self._save_took = time.monotonic() - began
                # Requests are answered again meanwhile: the slow half needs nothing of the services.
                await asyncio.to_thread(self._write, contents)

    def save(self) -> None:
        """Save now. Runs on the event loop, so that no request is half done."""
        if self._state_dir is not None:
            self._written_since_save = False
            self._write(self._capture())

    def _write(self, contents: dict[str, bytes]) -> None:
        """Put what differs from the last save on disk."""
        with self._writing:
            staged = self._directory / "next"
            digests = {name: hashlib.blake2b(content).digest() for name, content in contents.items()}
            changed = [name for name in contents if self._digests.get(name) != digests[name]]
            try:
                staged.mkdir(exist_ok=True)
                for name in changed:
                    (staged / f"{name}.json").write_bytes(contents[name])
                (staged / "COMPLETE").touch()
                self._install(staged, self._directory / "services")
            except OSError as refused:
                self._written_since_save = True
                log.error("the state was not saved: %s", refused)
                return
            self._digests.update({name: digests[name] for name in changed})
            self._saved_at = time.monotonic()
            self._saves += 1

    def _capture(self) -> dict[str, bytes]:
        """Return every loaded service's state in MiniStack's own file format, by file name without .json."""
        contents = {}
        kept = {name: get_state for name, (get_state, _load) in self._kept.items()}
        for name, get_state in [*self._app._build_persistence_save_dict().items(), *kept.items()]:
            for attempts_left in (2, 1, 0):
                try:
                    content = self._encode(name, get_state)
                    if content is not None:
                        contents[name] = content
                    break
                except RuntimeError:
                    # Cognito and state machines work on threads: a dictionary may grow while it is copied.
                    if not attempts_left:
                        log.exception("the state of %s was not saved", name)
                except Exception:  # one service that cannot be saved must not cost the others their save
                    log.exception("the state of %s was not saved", name)
                    break
        return contents

    def _encode(self, name: str, get_state: Callable[[], Any]) -> bytes | None:
        version = self._persistence._state_format_version(name)
        if name == "dynamodb":
            return self._tables.encode(version)
        state = get_state()
        if state is None:
            return None
        # dumps and not dump: only dumps uses the encoder written in C.
        document = json.dumps(
            {"__ministack_format__": version, "payload": state}, default=self._persistence._json_default
        )
        return document.encode()

    def _load_kept(self) -> None:
        for name, (_get_state, load) in self._kept.items():
            state = self._persistence.load_state(name)
            if state:
                load(state)

    @staticmethod
    def _install(staged: Path, services: Path) -> None:
        services.mkdir(exist_ok=True)
        for path in staged.glob("*.json"):
            path.replace(services / path.name)
        (staged / "COMPLETE").unlink(missing_ok=True)
