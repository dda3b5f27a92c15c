"""A fleet of EC2 instances, the same for the same moment, what it should become, and the fewest calls that do it."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

VPC, REGION, ACCOUNT = "vpc-0a1b2c3d4e5f60718", "eu-west-1", "123456789012"
PAGE, EVENTS_PAGE, MOST_IDS = 1000, 50, 1000
PROJECT_CODE = "Proj007"
SEED = 20
_OLDEST_DAYS = 80  # CloudTrail looks back 90
USERS = [f"{name}.{surname}" for surname in ("rossi", "meyer", "silva") for name in ("ada", "bo", "cleo", "dev")]
_SESSIONS = [f"{name}@example.com" for name in ("eli", "fay", "gus", "hana", "ivo", "jo", "kim", "lou")]

Tags = dict[str, str]


@dataclass(frozen=True)
class Launched:
    """One instance, in a reservation and a RunInstances event of its own."""

    number: int
    instance_id: str
    instance_type: str
    address: str
    state: str
    at: datetime
    creator: str
    tags: Tags

    @property
    def needs(self) -> frozenset[str]:
        """The keys whose tag is missing or empty."""
        return frozenset(key for key in ("ProjectCode", "CreatedBy", "Expires") if not self.tags.get(key))


def fleet(size: int, now: datetime) -> list[Launched]:
    """Return instances in the order in which they were launched: 5 % without tags; of the others 40 % without a
    ProjectCode (a quarter of these with an empty one), 30 % without CreatedBy, half without Expires."""
    rnd = random.Random(SEED)
    ages = sorted((rnd.uniform(60, _OLDEST_DAYS * 86400) for _ in range(size)), reverse=True)
    people = USERS + _SESSIONS
    launched = []
    for number, age in enumerate(ages):
        at = (now - timedelta(seconds=age)).replace(microsecond=0)
        creator = rnd.choice(people)
        tags: Tags = {}
        if rnd.random() >= 0.05:
            tags["Name"] = f"{rnd.choice(('web', 'batch', 'db', 'build'))}-{number:05}"
            tags["Environment"] = rnd.choice(("production", "staging", "test"))
            tags["CostCentre"] = str(rnd.randrange(1000, 1040))
            if rnd.random() < 0.4:
                if rnd.random() < 0.25:
                    tags["ProjectCode"] = ""
            else:
                tags["ProjectCode"] = f"Proj{rnd.randrange(100):03}"
            if rnd.random() >= 0.3:
                tags["CreatedBy"] = creator
            if rnd.random() >= 0.5:
                tags["Expires"] = f"{at + timedelta(days=365):%Y-%m-%d}"
        launched.append(
            Launched(
                number=number,
                instance_id=f"i-{rnd.getrandbits(68):017x}",
                instance_type=rnd.choice(("t3.micro", "t3.large", "m6i.xlarge", "c6i.2xlarge")),
                address=f"10.0.{number // 250}.{number % 250 + 4}",
                state=rnd.choices(("running", "stopped"), (9, 1))[0],
                at=at,
                creator=creator,
                tags=tags,
            )
        )
    return launched


def digest(tags: Mapping[str, Mapping[str, str]]) -> str:
    """Return what two fleets share whose instances have the same tags."""
    return hashlib.sha256(json.dumps(tags, sort_keys=True).encode()).hexdigest()[:12]


def as_wanted(instances: Iterable[Launched], now: datetime, *, with_creators: bool) -> dict[str, Tags]:
    """Return the tags that the rules leave, instance by instance."""
    return {
        one.instance_id: {
            **one.tags,
            **{
                key: {"ProjectCode": PROJECT_CODE, "Expires": f"{now:%Y-%m-%d}", "CreatedBy": one.creator}[key]
                for key in one.needs - (frozenset() if with_creators else {"CreatedBy"})
            },
        }
        for one in instances
    }


@dataclass(frozen=True)
class Bound:
    """The fewest calls that read the fleet and leave it as it should be."""

    describes: int
    creates: int
    lookups: int

    @property
    def calls(self) -> int:
        return self.describes + self.creates + self.lookups


def bound(instances: list[Launched], *, with_creators: bool) -> Bound:
    """Return the lower bound of all calls, in which no instance gets a tag that it does not need.

    A call gives each of its 1,000 instances the same tags. So an instance that needs nothing but one tag of one value
    is in a call of nothing but that tag. Those of a creator's tag give no other: the rest of the calls must reach
    whoever needs one of the fixed tags.
    """
    alone: Counter[tuple[str, str]] = Counter()
    fixed = 0
    for one in instances:
        needs = one.needs if with_creators else one.needs - {"CreatedBy"}
        fixed += bool(needs - {"CreatedBy"})
        if len(needs) == 1:
            (key,) = needs
            alone[key, one.creator if key == "CreatedBy" else ""] += 1
    calls = {which: math.ceil(n / MOST_IDS) for which, n in alone.items()}
    of_creators = sum(n for (key, _), n in calls.items() if key == "CreatedBy")
    of_fixed = max(math.ceil(fixed / MOST_IDS), sum(calls.values()) - of_creators)
    wanted = with_creators and any("CreatedBy" in one.needs for one in instances)
    return Bound(
        describes=math.ceil(len(instances) / PAGE),
        creates=of_creators + of_fixed,
        lookups=math.ceil(len(instances) / EVENTS_PAGE) if wanted else 0,
    )


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
