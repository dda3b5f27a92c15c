"""`manage.py enforce_policies`: a run of the tag policies by hand, with a progress bar."""

from __future__ import annotations

import getpass
import re
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from policies import engine, lease
from policies.instance import Act, Change, Finding
from policies.runs import Kind, Run, State, all_findings

# Nobody's invocation ends here.
_HOURS = 24 * 60 * 60
_WIDTH = 30


def vpc_id(text: str) -> str:
    if not re.fullmatch(r"vpc-[0-9a-f]{8,17}", text):
        raise ArgumentTypeError(f"{text} is not a VPC's id, such as vpc-0a1b2c3d")
    return text


def most(text: str) -> int:
    return _within(text, 1_000_000)


def percent(text: str) -> int:
    return _within(text, 100)


def _within(text: str, highest: int) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= highest):
        raise ArgumentTypeError(f"{text} is not a number from 0 to {highest:,}")
    return int(text)


@dataclass(frozen=True)
class Shell:
    """Whoever has the credentials, as the audit log names them."""

    username: str
    sub: str = "shell"


class Command(BaseCommand):
    help = "Apply the tag policies to EC2, or with --dry-run say what that would change."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="change nothing, and list what would change")
        parser.add_argument(
            "--vpc", action="append", default=[], type=vpc_id, metavar="ID", help="only this VPC; may be repeated"
        )
        parser.add_argument(
            "--most", type=most, metavar="N", help="change nothing if more than N instances would change"
        )
        parser.add_argument(
            "--percent", type=percent, metavar="P", help="change nothing if more than P %% of them would change"
        )
        parser.add_argument(
            "--most-ended",
            type=most,
            metavar="N",
            default=settings.POLICY_MOST_ENDED,
            help="change nothing if more than N instances would be stopped or terminated (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        kind = Kind.PREVIEW if options["dry_run"] else Kind.ENFORCE
        run = engine.begin(
            kind,
            by=Shell(f"{getpass.getuser()} in a shell"),
            now=datetime.now(UTC),
            vpc_ids=options["vpc"],
            most_changes=options["most"],
            most_percent=options["percent"],
            most_ended=options["most_ended"],
        )
        try:
            run = engine.step(run.run_id, until=time.monotonic() + _HOURS, on_progress=self._show)
        except lease.Held as held:
            engine.drop(run.run_id, now=datetime.now(UTC), why="Another run was under way.")
            raise CommandError("Another run is under way; try again when it is over.") from held
        except KeyboardInterrupt:
            engine.cancel(run.run_id, by=Shell(f"{getpass.getuser()} in a shell"))
            raise CommandError("Interrupted. What was changed is in the report and can be undone.") from None
        self._end_bar()
        self._list(run, only_ends=kind is not Kind.PREVIEW)
        self._sum_up(run)

    # --- While it runs ---

    def _show(self, run: Run) -> None:
        if not sys.stderr.isatty():
            return
        done, of = (run.changed + run.failed + run.gone, run.to_change) if run.state is State.APPLYING else (0, 0)
        filled = round(_WIDTH * done / of) if of else 0
        bar = f"[{'█' * filled}{'·' * (_WIDTH - filled)}]"
        text = f"{run.state}: {run.read:,} instances read, {run.to_change:,} to change, {run.changed:,} changed"
        self.stderr.write(f"\r{bar} {text:<70}", ending="")
        self.stderr.flush()

    def _end_bar(self) -> None:
        if sys.stderr.isatty():
            self.stderr.write("")

    # --- Afterwards ---

    def _list(self, run: Run, *, only_ends: bool) -> None:
        for one in all_findings(run):
            is_ended = one.act in (Act.STOP, Act.TERMINATE)
            for line in _lines(one) if is_ended or not only_ends else []:
                self.stdout.write(line)

    def _sum_up(self, run: Run) -> None:
        for text in (*run.malformed, *run.problems):
            self.stderr.write(self.style.WARNING(printable(text)))
        would = "would change" if run.kind is Kind.PREVIEW else "changed"
        number = run.to_change if run.kind is Kind.PREVIEW else run.changed
        self.stdout.write(f"{run.read:,} instances read, {number:,} {would}, {run.failed:,} failed.")
        ended = sum(run.acts.get(act, 0) for act in (Act.STOP, Act.TERMINATE))
        if ended:
            self.stdout.write(f"{ended:,} of them stopped or terminated.")
        if not run.rules:
            self.stdout.write("No rule is enabled, so nothing was read.")
        self.stdout.write(f"{settings.PORTAL_URL}/admin/policies/policyrun/{run.run_id}/change/")
        if run.state not in (State.DONE, State.CAPPED):
            raise CommandError(f"The run is {run.state}.")
        if run.state is State.CAPPED or run.failed:
            sys.exit(1)


def _lines(one: Finding) -> list[str]:
    # A value's line breaks and control characters are shown, not obeyed.
    name = f" {printable(one.name)}" if one.name else ""
    lines = [f"{one.instance_id}{name}: {one.act} ({one.act_outcome})"] if one.act else []
    lines += [f"{one.instance_id}{name}: {_in_words(change)} ({printable(change.why)})" for change in one.changes]
    return lines + [f"{one.instance_id}{name}: {printable(note)}" for note in one.notes]


def _in_words(change: Change) -> str:
    key = printable(change.key)
    return f"{key} is taken away" if change.new is None else f"{key} = {printable(change.new)}"


def printable(text: str) -> str:
    """Return the text with whatever a terminal would obey made visible."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
