"""The message with which a workflow asks: docs/approvals.md says what is in it."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_pascal

from approvals.rules import Malformed, Named, approver

# Step Functions takes a token of so many characters at most.
_LONGEST_TOKEN = 2048


class Question(BaseModel):
    """What a workflow asks. `input` is its own; the request type says what of it an approver is shown."""

    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=True, extra="forbid", frozen=True)

    task_token: str = Field(min_length=1, max_length=_LONGEST_TOKEN, repr=False)
    type_id: str = Field(alias="Type", min_length=1, max_length=60)
    # With it, a question that is asked again is the same question.
    execution: str = Field(default="", max_length=2048)
    # Which question it is, where a workflow asks several of one type.
    step: str = Field(default="", max_length=128)
    input: dict[str, Any] = {}
    # Whom the workflow names instead of the request type's: "person:…", "group:…".
    approvers: tuple[str, ...] = Field(default=(), max_length=20)
    # For whom: a user name, an e-mail address or a sub. An input's "requester" says the same.
    requester: str = Field(default="", max_length=128)
    escalate: bool = False

    @field_validator("approvers")
    @classmethod
    def _named(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            approver(one, may_be_manager=False)
        return value

    @property
    def named(self) -> list[Named]:
        return [approver(one, may_be_manager=False) for one in self.approvers]

    @property
    def requester_name(self) -> str:
        return self.requester or self._text("requester")

    @property
    def manager_name(self) -> str:
        """The published article's managerEmailAddress."""
        return self._text("managerEmailAddress")

    def _text(self, name: str) -> str:
        value = self.input.get(name)
        return value.strip() if isinstance(value, str) else ""


class NotAQuestion(ValueError):
    """The message is none. Where it has a token, the workflow can be told why."""

    def __init__(self, why: str, token: str = "") -> None:
        super().__init__(why)
        self.token = token


def read(body: str) -> Question:
    """Read a message. Raises NotAQuestion."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotAQuestion("The message is not JSON.") from error
    if not isinstance(given, dict):
        raise NotAQuestion("The message is not an object.")
    token = given.get("TaskToken")
    try:
        return Question.model_validate(given)
    except (ValidationError, Malformed) as error:
        # pydantic's own words repeat the input, and the token is in it.
        where = [".".join(map(str, one["loc"])) + ": " + one["msg"] for one in _errors(error)]
        raise NotAQuestion("; ".join(where)[:1000], token if isinstance(token, str) else "") from None


def _errors(error: ValidationError | Malformed) -> list[Any]:
    if isinstance(error, Malformed):
        return [{"loc": ["Approvers"], "msg": str(error)}]
    return list(error.errors(include_input=False, include_url=False))
