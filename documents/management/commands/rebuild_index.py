"""Make the Documents table from the bucket alone."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from documents import index


class Command(BaseCommand):
    help = "Make the Documents table from the bucket alone. The portal may go on meanwhile, and it may be run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--identity", default="", help="only this identity's corner, e.g. eu-west-1:6f1c…")

    def handle(self, *args: Any, **options: Any) -> None:
        done = 0
        for done, of in index.rebuild(options["identity"], now=timezone.now()):
            if self.stdout.isatty() or done == of:
                self.stdout.write(f"{done} of {of} documents", ending="\r" if done < of else "\n")
        if not done:
            self.stdout.write("There is nothing in the bucket or in the table.")
