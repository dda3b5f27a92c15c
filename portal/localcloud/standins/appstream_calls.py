"""What every operation of AppStream gets: who calls where, and what is kept there; and its pages of an answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portal.localcloud.standins.appstream_errors import combination, not_found
from portal.localcloud.standins.appstream_fleets import Fleet
from portal.localcloud.standins.appstream_records import Records, Region, Stack
from portal.localcloud.standins.page_tokens import PageTokens, TokenInvalid

Parameters = dict[str, Any]
# How many fleets or stacks are in one answer; the documentation has no number.
PAGE = 50
_tokens = PageTokens()


@dataclass(frozen=True)
class Call:
    """A call, and where it is made. parameters are valid as the service model has it."""

    action: str
    parameters: Parameters
    account: str
    region: str
    records: Records
    # The address of the stand-in's own pages.
    cloud: str = ""

    @property
    def here(self) -> Region:
        return self.records.region(self.account, self.region)

    @property
    def now(self) -> float:
        return self.records.now()

    def arn(self, kind: str, name: str) -> str:
        return f"arn:aws:appstream:{self.region}:{self.account}:{kind}/{name}"

    def fleet(self, name: str) -> Fleet:
        """Raises Refused."""
        if name not in self.here.fleets:
            raise not_found("fleet", name)
        return self.here.fleets[name]

    def stack(self, name: str) -> Stack:
        """Raises Refused."""
        if name not in self.here.stacks:
            raise not_found("stack", name)
        return self.here.stacks[name]

    def page(self, found: Sequence[Any], name: str, size: int = PAGE) -> Parameters:
        """Return the page of an answer that the call's NextToken asks for. Raises Refused for another call's token."""
        asked = {key: value for key, value in self.parameters.items() if key not in ("NextToken", "Limit")}
        request = [self.action, self.account, self.region, asked]
        begin = 0
        if "NextToken" in self.parameters:
            try:
                begin = int(str(_tokens.open(self.parameters["NextToken"], request)))
            except (TokenInvalid, ValueError) as wrong:
                raise combination("The NextToken is not valid for this call") from wrong
        answer: Parameters = {name: list(found[begin : begin + size])}
        if begin + size < len(found):
            answer["NextToken"] = _tokens.seal(begin + size, request)
        return answer


Operation = Callable[[Call], Parameters]
Operations = Mapping[str, Operation]
