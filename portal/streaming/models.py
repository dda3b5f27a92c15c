"""The catalogue of applications, which operators edit, and streaming's place in the admin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, cast

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from portal.dynamo.items import Item
from portal.dynamo.records import Screen
from portal.streaming import launch, pictures, rules
from portal.streaming.rules import EVERYBODY

LONGEST_ID = 60
# As AppStream names stacks and fleets.
_NAME = RegexValidator(
    r"\A[a-zA-Z0-9][a-zA-Z0-9_.-]{0,100}\Z", "Letters, digits, underscores, dots and hyphens only, as in AWS."
)


def template_stack() -> str:
    return str(settings.STREAMING_STACK)


def template_fleet() -> str:
    return str(settings.STREAMING_FLEET)


class PictureIdField(models.CharField):  # type: ignore[type-arg]
    """The id of a picture. What can be none, such as what another version of the portal stored, is none."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        return text if text and pictures.is_id(text) else ""


class Application(Item):
    """An application that people may start: where it runs, what it is called, whose it is, and how it opens."""

    TAB, FRAME = "tab", "frame"
    OPENS: ClassVar = [(TAB, "As the whole tab"), (FRAME, "In a page of the portal, where the stack allows it")]

    application_id = models.CharField(
        "id",
        db_column="ApplicationId",
        primary_key=True,
        max_length=LONGEST_ID,
        validators=[RegexValidator(r"\A[a-z0-9]+(-[a-z0-9]+)*\Z", "Small letters, digits and single hyphens only.")],
        help_text="What its address and the API call it, such as design-studio. It stays for good.",
    )
    title = models.CharField(db_column="Title", max_length=80, help_text="What people call it.")
    summary = models.CharField(
        "what it is", db_column="Summary", max_length=200, blank=True, help_text="One sentence for its tile."
    )
    picture = PictureIdField(db_column="Picture", blank=True, max_length=64)  # see pictures.py
    groups = models.TextField(
        db_column="Groups",
        blank=True,
        max_length=2000,
        help_text=f"Whose it is: one group of the user pool on each line, or {EVERYBODY} for everybody who signs in."
        " Empty means nobody. Whoever streams from a fleet can reach every application of its image, so applications"
        " of different groups need different fleets.",
    )
    is_shown_to_all = models.BooleanField(
        "shown to everybody",
        db_column="ShownToAll",
        default=False,
        help_text="People whose it is not see it as well, and that it is not for them.",
    )
    stack = models.CharField(db_column="Stack", max_length=101, default=template_stack, validators=[_NAME])
    fleet = models.CharField(db_column="Fleet", max_length=101, default=template_fleet, validators=[_NAME])
    application = models.CharField(
        "application in the image",
        db_column="Application",
        blank=True,
        max_length=100,
        help_text="What Image Assistant calls it, or Desktop where the fleet shows desktops. Empty means that people"
        " choose after they have come.",
    )
    opens = models.CharField(db_column="Opens", max_length=10, choices=OPENS, default=TAB)
    most_sessions = models.IntegerField(
        "sessions at most",
        db_column="MostSessions",
        default=0,
        validators=[MinValueValidator(0), MaxValueValidator(10_000)],
        help_text="While the fleet has about so many sessions, of whatever application, it is full: what AppStream"
        " tells is some seconds old. 0 means that the fleet decides.",
    )
    most_minutes = models.IntegerField(
        "minutes at most",
        db_column="MostMinutes",
        default=0,
        validators=[MinValueValidator(0), MaxValueValidator(7200)],
        help_text="So many minutes after it was first started in a session, the portal ends that. 0 means that the"
        " fleet decides. Applications on the same stack and fleet share their sessions: give them the same limit.",
    )
    is_default = models.BooleanField(
        "what the API starts",
        db_column="IsDefault",
        default=False,
        help_text="Where a call of the API names no application and its caller has several.",
    )
    enabled = models.BooleanField(
        db_column="Enabled", default=True, help_text="What is not enabled is not offered. Sessions that run go on."
    )

    class Meta(Item.Meta):
        db_table = "streaming_applications"
        verbose_name = "streaming application"
        verbose_name_plural = "streaming applications"
        ordering = ["title"]

    def __str__(self) -> str:
        return self.title or self.application_id

    @classmethod
    def say(cls, field: models.Field[Any, Any], value: Any) -> str:
        if field.name == "picture":
            return "a picture" if value else "no picture"
        return super().say(field, value)

    @property
    def group_names(self) -> list[str]:
        return (self.groups or "").split()

    @property
    def place(self) -> str:
        return launch.place(self.stack, self.fleet)

    def is_for(self, groups: Iterable[str]) -> bool:
        """Tell whether somebody of these groups may start it."""
        return rules.is_entitled(groups, of=self.group_names)

    def is_seen_by(self, groups: Iterable[str]) -> bool:
        return bool(self.enabled) and (bool(self.is_shown_to_all) or self.is_for(groups))


def applications() -> list[Application]:
    """Return the catalogue, by title: one Scan of a table of few rows."""
    return cast("list[Application]", list(Application.objects.all()))


def find(application_id: str) -> Application | None:
    """Return an application, enabled or not, or None: one GetItem, or none for what can be no id."""
    if not 0 < len(application_id) <= LONGEST_ID:
        return None
    return cast("Application | None", next(iter(Application.objects.filter(pk=application_id)), None))


def application(application_id: str) -> Application | None:
    """Return an enabled application, or None: one GetItem."""
    found = find(application_id)
    return found if found and found.enabled else None


class Fleet(Screen):
    """The fleets in the admin; a fleet itself is portal.streaming.fleet.Fleet."""

    class Meta(Screen.Meta):
        verbose_name = "streaming fleet"
        verbose_name_plural = "streaming fleets"
        default_permissions = ("view", "change")  # type: ignore[assignment]


class Session(Screen):
    """The sessions in the admin."""

    class Meta(Screen.Meta):
        verbose_name = "streaming session"
        verbose_name_plural = "streaming sessions"
        default_permissions = ("view", "change")  # type: ignore[assignment]
