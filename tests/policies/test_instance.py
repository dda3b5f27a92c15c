import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from policies.instance import Act, Change, Finding, Lookup, Outcome

text = st.text(max_size=9)
moments = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30)).map(
    lambda at: at.replace(microsecond=0, tzinfo=UTC)
)
changes = st.builds(
    Change,
    key=text,
    old=st.none() | text,
    new=st.none() | text,
    rule_id=st.integers(),
    why=text,
    outcome=st.sampled_from(Outcome),
    error=text,
)
facts = {
    "instance_id": text,
    "region": text,
    "name": text,
    "created_at": moments,
    "tag_count": st.integers(0, 50),
    "changes": st.lists(changes, max_size=3),
    "lookups": st.lists(st.builds(Lookup, key=text, old=st.none() | text, rule_id=st.integers()), max_size=3),
    "notes": st.lists(text, max_size=3),
    "owner": text,
    "is_untagged": st.booleans(),
}
findings = st.builds(Finding, **facts) | st.builds(
    Finding,
    **facts,
    act=st.sampled_from(Act),
    planned_act=st.none() | st.sampled_from(Act),
    deadline=st.none() | moments,
    act_outcome=st.sampled_from(Outcome),
    act_error=text,
)


@given(findings)
def test_a_finding_is_read_as_it_was_stored(finding: Finding) -> None:
    stored = json.loads(json.dumps(finding.as_json()))
    again = Finding.from_json(stored)
    assert again == finding
    assert again.will_change is finding.will_change
    assert all(isinstance(change.outcome, Outcome) for change in again.changes)


def test_what_is_empty_is_not_stored() -> None:
    stored = Finding("i-1", "eu-west-1", "", datetime(2026, 11, 1, tzinfo=UTC), 3).as_json()
    assert stored == {"instance": "i-1", "region": "eu-west-1", "name": "", "created": 1793491200, "tags": 3}
