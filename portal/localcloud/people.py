"""The sample people of the local cloud."""

from __future__ import annotations

from dataclasses import dataclass

PASSWORD = "Portico-2026!"  # noqa: S105 - a sample, for the laptop only, printed at every start


@dataclass(frozen=True)
class Person:
    username: str
    given_name: str
    family_name: str
    does: str
    groups: tuple[str, ...] = ()
    manager: str = ""  # whose user name it is, who approves what they ask for

    @property
    def email(self) -> str:
        return f"{self.username}@example.com"


PEOPLE = [
    Person("rider", "Ada", "Lovelace", "asks for unicorns", manager="approver"),
    Person("author", "Mary", "Shelley", "writes documents", manager="approver"),
    Person("approver", "Grace", "Hopper", "answers approvals"),
    Person("operator", "Margaret", "Hamilton", "changes everything in the admin", ("operators",)),
    Person("auditor", "Florence", "Nightingale", "sees everything in the admin, changes nothing", ("auditors",)),
]
