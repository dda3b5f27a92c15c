"""The last operator stays: whoever stops being one is written down first, in one place, where two at once are seen.

The user pool knows no conditions: two operators who remove each other at the same moment would both find the other
still there. So an intention to let somebody go is an entry in one item of the People table, written only if nobody else
wrote there meanwhile, and it counts at once. It is forgotten when the user pool says the same anyway.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import datetime

from django.conf import settings

from portal import aws
from portal.accounts.refusals import Refused
from portal.dynamo.table import Conflict, Record, Table
from portal.people import directory, rules

KEY = "lock:operators"
# Longer than a request takes, and than Cognito's lists lag behind.
REMEMBERED_SECONDS = 60
TRIES = 5


class LastOperator(Refused):
    sentence = "Nobody else could change things here any more. Make somebody else an operator first."


class Leaving(Record):
    """Who is about to be no operator any more (their sub), and until when (epoch seconds) that is remembered."""

    person_id: str
    until: dict[str, int] = {}


leaving = Table(Leaving, name="people", key=("PersonId",))


def groups() -> set[str]:
    """Return the groups whose members may do everything."""
    return {group for group, grant in settings.GROUP_PERMISSIONS.items() if grant == "all"}


def are_operators(names: Iterable[str]) -> bool:
    """Tell whether being in these groups makes an operator."""
    return not groups().isdisjoint(names)


def let_go(sub: str, *, now: datetime) -> None:
    """Write down that somebody stops being an operator. Raises LastOperator where nobody would be left."""
    for _ in range(TRIES):
        was = leaving.find(KEY, consistent=True)
        others = {one: until for one, until in (was.until if was else {}).items() if until > now.timestamp()}
        # After that item: who was let go before it was read is in it, or gone from the lists.
        operators = [person for group in groups() for person in directory.members(group)]
        if not rules.is_anyone_left(operators, without={sub, *others}):
            raise LastOperator
        new = Leaving(person_id=KEY, until={**others, sub: int(now.timestamp()) + REMEMBERED_SECONDS})
        try:
            if was is None:
                leaving.add(new)
            else:
                leaving.replace(new, was=was)
        except Conflict:
            continue
        return
    raise aws.Busy


def keep(sub: str) -> None:
    """Forget that somebody was let go, because they are an operator again."""
    was = leaving.find(KEY, consistent=True)
    if was and sub in was.until:
        until = {one: moment for one, moment in was.until.items() if one != sub}
        # Where somebody else writes there at this moment, it is forgotten by itself within a minute.
        with contextlib.suppress(Conflict):
            leaving.replace(Leaving(person_id=KEY, until=until), was=was)
