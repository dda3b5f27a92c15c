"""What the JSON API about approvals takes and answers."""

from __future__ import annotations

from typing import Annotated, Literal

from ninja import Schema
from pydantic import Field

from approvals import approval
from approvals.requests import MOST_VALUE
from approvals.rules import MOST_COMMENT, MOST_FIELDS, MOST_REASON
from portal.dynamo.table import Instant

Box = Literal["inbox", "requests", "decided"]
_Value = Annotated[str, Field(max_length=MOST_VALUE)]


class FieldAnswer(Schema):
    Name: str
    Label: str


class TypeAnswer(Schema):
    Type: str
    Title: str
    Fields: list[FieldAnswer]
    NeedsManager: bool = Field(
        description="Whether it goes to a manager: the caller's own, or where none is known, ManagerEmailAddress"
    )


class TypesAnswer(Schema):
    Types: list[TypeAnswer]


class NewApproval(Schema):
    Type: str = Field(max_length=60, examples=["employee-promotion"])
    Fields: dict[str, _Value] = Field(max_length=MOST_FIELDS, examples=[{"employeeName": "Ada Lovelace"}])
    ManagerEmailAddress: str = Field(
        default="", max_length=128, description="Who decides, where nobody is noted as the caller's manager"
    )
    IdempotencyKey: str | None = Field(
        default=None, min_length=1, max_length=64, description="The same key again gets the same approval"
    )


class FactAnswer(Schema):
    Label: str
    Value: str


class Listed(Schema):
    Id: str
    Type: str
    Title: str
    Facts: list[FactAnswer]
    State: approval.State
    Requester: str = Field(description="Who asks; empty where a workflow does without saying for whom")
    Round: int = Field(description="How often the workflow has asked it")
    AskedAt: Instant
    DeadlineAt: Instant | None
    IsOverdue: bool
    DecidedAt: Instant | None
    DecidedBy: str
    Reason: str
    FinishedAt: Instant | None = Field(description="When the workflow had the answer")


class StepAnswer(Schema):
    At: Instant
    Text: str
    Note: str = Field(description="The reason or the comment")
    Kind: str


class ApprovalAnswer(Listed):
    MayDecide: bool
    MayWithdraw: bool
    ReasonDue: approval.ReasonDue
    Steps: list[StepAnswer] = Field(description="What has happened, oldest first")


class ApprovalsAnswer(Schema):
    Approvals: list[Listed]
    Cursor: str | None = Field(description="Fetches the next page; null on the last one")


class Decision(Schema):
    Decision: Literal["approve", "reject"]
    Reason: str = Field(default="", max_length=MOST_REASON)
    Round: int | None = Field(default=None, description="Of what you have seen; 409 where it was asked anew since")


class Comment(Schema):
    Text: str = Field(min_length=1, max_length=MOST_COMMENT)


class ResentAnswer(Schema):
    Mails: int = Field(description="How many are on the way")
