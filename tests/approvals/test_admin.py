"""Operators keep the request types: what is asked, who is asked and until when."""

from __future__ import annotations

import re
from html import unescape

import pytest

from approvals.models import PROMOTION, RequestType, request_type
from portal.dynamo.values import from_item
from tests.approvals.build import put_approval
from tests.html import page_problems

LIST = "/admin/approvals/requesttype/"
ADD = f"{LIST}add/"
NEW = {
    "type_id": "travel",
    "title": "Travel",
    "fields": "where: Where to\r\nwhen: When\r\n",
    "approver": "person:approver",
    "escalation": "group:operators",
    "deadline_hours": "24",
    "reminder_hours": "6",
    "reminders": "2",
    "reason_due": "always",
    "workflow": "promotion",
    "enabled": "on",
}


def change(type_id=PROMOTION):
    return f"{LIST}{type_id}/change/"


def text(response):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def typed(response, **values):
    """Return what a browser sends from the form, with some fields typed over."""
    form = response.context["adminform"].form
    fields = {name: form[name].value() for name in form.fields}
    fields = {name: value for name, value in fields.items() if value is not False}
    found = re.findall(r'<input type="hidden" name="(_opened-[^"]+)" value="([^"]*)"', response.content.decode())
    carried = {name: unescape(value) for name, value in found}
    return {name: "" if value is None else value for name, value in {**fields, **carried, **values}.items()}


def problems(page):
    """Return what is wrong with a page's HTML; Django's buttons say their own names."""
    buttons = ("_save has", "_addanother has", "_continue has")
    return [one for one in page_problems(page.content.decode()) if not one.startswith(buttons)]


def stored(cloud):
    return {one["TypeId"]: one for one in map(from_item, cloud.items("request_types"))}


def audited(cloud):
    entries = sorted(map(from_item, cloud.items("audit")), key=lambda one: one["EntryId"])
    return [(one["ActorName"], one["Action"], one["Object"]) for one in entries]


@pytest.fixture
def asks(client_for, operator):
    """The operator's browser."""
    return client_for(operator)


# --- The built-in one -------------------------------------------------------------------------------------------------


def test_the_built_in_type_is_listed_before_anybody_has_stored_it(cloud, asks):
    cloud.forget_calls()
    page = asks.get(LIST)
    assert cloud.calls()["dynamodb", "Scan"] == 1
    said = text(page)
    for fact in ("Employee promotion", PROMOTION, "the manager of who asks", "48 hours", "the group operators"):
        assert fact in said, fact
    assert "at most 3, the first after 12 hours" in said
    assert not problems(page)
    assert stored(cloud) == {}
    assert PROMOTION in text(asks.get(LIST, {"q": "employee"}))
    assert "Nothing fits what you look for." in text(asks.get(LIST, {"q": "travel"}))


def test_saving_the_built_in_type_creates_the_item_with_what_was_typed(cloud, asks):
    page = asks.get(change())
    assert "This request type is built in" in text(page)
    assert not problems(page)
    saved = asks.post(change(), typed(page, deadline_hours="72"), follow=True)
    assert "was changed successfully" in text(saved)
    item = stored(cloud)[PROMOTION]
    assert (item["DeadlineHours"], item["Title"], item["Approver"]) == (72, "Employee promotion", "manager")
    assert (item["Escalation"], item["Workflow"], item["Enabled"]) == ("group:operators", "promotion", True)
    assert item["Fields"] == "employeeName: Employee\nmanagerEmailAddress: Manager"
    assert request_type(PROMOTION).terms().deadline_hours == 72
    assert audited(cloud) == [("operator", "added", f"approvals.requesttype/{PROMOTION}")]
    # There is one of it now, and it is as it was saved.
    page = asks.get(LIST)
    assert text(page).count(PROMOTION) == 1
    assert "72 hours" in text(page)
    assert "This request type is built in" not in text(asks.get(change()))


def test_two_who_save_the_built_in_type_at_once_do_not_overwrite_each_other(cloud, asks):
    page = asks.get(change())
    asks.post(change(), typed(page, deadline_hours="72"))
    second = asks.post(change(), typed(page, deadline_hours="24"))
    assert "This form does not say what it was filled in from." in text(second)
    assert stored(cloud)[PROMOTION]["DeadlineHours"] == 72


def test_the_built_in_type_cannot_be_deleted_and_comes_back_when_what_was_stored_is(cloud, asks):
    page = asks.get(f"{LIST}{PROMOTION}/delete/")
    assert "is built in, and nobody has changed it. To offer it no longer, disable it." in text(page)
    assert "Yes, delete it" not in text(page)
    asks.post(change(), typed(asks.get(change()), title="Promotion"))
    page = asks.get(f"{LIST}{PROMOTION}/delete/")
    assert "This one comes back as it was built in." in text(page)
    assert not problems(page)
    found = re.findall(r'name="(_opened-[^"]+)" value="([^"]*)"', page.content.decode())
    asks.post(f"{LIST}{PROMOTION}/delete/", {"post": "yes", **{name: unescape(value) for name, value in found}})
    assert stored(cloud) == {}
    assert "Employee promotion" in text(asks.get(LIST))
    assert RequestType.objects.filter(pk=PROMOTION).exists() is False


def test_disabling_the_built_in_type_offers_it_no_longer(cloud, asks):
    data = typed(asks.get(change()))
    del data["enabled"]
    asks.post(change(), data)
    assert request_type(PROMOTION) is None
    assert PROMOTION in text(asks.get(LIST))


# --- Others -----------------------------------------------------------------------------------------------------------


def test_a_request_type_is_added_with_all_that_belongs_to_it(cloud, asks):
    saved = asks.post(ADD, NEW, follow=True)
    assert "was added successfully" in text(saved)
    assert stored(cloud)["travel"] == {
        "TypeId": "travel",
        "Title": "Travel",
        "Fields": "where: Where to\nwhen: When",
        "Approver": "person:approver",
        "Escalation": "group:operators",
        "DeadlineHours": 24,
        "ReminderHours": 6,
        "Reminders": 2,
        "ReasonDue": "always",
        "Workflow": "promotion",
        "Enabled": True,
    }
    said = text(asks.get(LIST))
    assert "Travel" in said
    assert "Employee promotion" in said


def test_saving_what_was_not_changed_writes_nothing_and_asks_cognito_nothing(cloud, asks):
    asks.post(ADD, NEW)
    page = asks.get(change("travel"))
    # A browser ends lines with two characters.
    data = typed(page, fields="where: Where to\r\nwhen: When")
    before = stored(cloud), len(audited(cloud))
    cloud.forget_calls()
    asks.post(change("travel"), data)
    assert stored(cloud) == before[0]
    assert not [call for call in cloud.calls() if call[0] == "cognito-idp"]
    assert cloud.calls()["dynamodb", "UpdateItem"] == 0


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("type_id", "Travel Abroad", "Small letters, digits and single hyphens only."),
        ("title", "", "This field is required."),
        ("fields", "1x: No", "is not a name, a colon and a label."),
        ("fields", "a: A\na: B", "a is there twice."),
        ("approver", "approver", "person: and a user name or an e-mail address"),
        ("approver", "person:nobody", "Nobody who may sign in has the user name or verified e-mail address nobody."),
        ("approver", "person:nobody@example.com", "Nobody who may sign in"),
        ("approver", "group:nobody", "There is no group nobody in the user pool."),
        ("escalation", "manager", "Write person:"),
        ("escalation", "person:nobody", "Nobody who may sign in"),
        ("escalation", "group:nobody", "There is no group nobody in the user pool."),
        ("deadline_hours", "0", "greater than or equal to 1"),
        ("deadline_hours", "soon", "Enter a whole number."),
        ("reminder_hours", "-1", "greater than or equal to 0"),
        ("reminders", "11", "less than or equal to 10"),
        ("reason_due", "sometimes", "Select a valid choice."),
        ("workflow", "promote", "Write promotion, promotion-by-activity or a state machine’s ARN"),
    ],
)
def test_what_makes_no_sense_is_said_beside_its_field(cloud, asks, field, value, said):
    page = asks.post(ADD, {**NEW, field: value})
    assert list(page.context["adminform"].form.errors) == [field]
    assert said in text(page)
    assert not problems(page)
    assert stored(cloud) == {}


def test_somebody_who_is_disabled_cannot_be_named(asks, outsider, disable):
    disable(outsider)
    page = asks.post(ADD, {**NEW, "approver": "person:outsider"})
    assert list(page.context["adminform"].form.errors) == ["approver"]


def test_naming_somebody_costs_one_call_for_each_field_that_is_new(cloud, asks):
    cloud.forget_calls()
    asks.post(ADD, NEW)
    calls = {action: count for (service, action), count in cloud.calls().items() if service == "cognito-idp"}
    assert calls == {"AdminGetUser": 1, "ListUsersInGroup": 1}


def test_where_the_user_pool_does_not_answer_it_is_saved_with_a_warning(cloud, asks):
    cloud.faults.add(service="cognito-idp", action="AdminGetUser", kind="throttle")
    page = asks.post(ADD, {**NEW, "approver": "person:nobody"}, follow=True)
    assert "so nobody has looked whether there is person:nobody. Please do." in text(page)
    assert stored(cloud)["travel"]["Approver"] == "person:nobody"


def test_a_state_machine_may_be_named_by_its_arn(cloud, asks, settings):
    arn = settings.PROMOTION_STATE_MACHINE_ARN
    asks.post(ADD, {**NEW, "workflow": arn})
    assert stored(cloud)["travel"]["Workflow"] == arn


def test_a_type_with_open_approvals_is_deleted_and_they_keep_their_terms(cloud, asks, rider, approver):
    asks.post(ADD, NEW)
    approval = put_approval(rider, approver, type_id="travel")
    several = asks.post(LIST, {"action": "delete_selected", "_selected_action": ["travel"]})
    assert "they keep the terms with which they were asked" in text(several)
    assert not problems(several)
    page = asks.get(f"{LIST}travel/delete/")
    assert "Approvals that are open go on: they keep the terms with which they were asked." in text(page)
    found = re.findall(r'name="(_opened-[^"]+)" value="([^"]*)"', page.content.decode())
    asks.post(f"{LIST}travel/delete/", {"post": "yes", **{name: unescape(value) for name, value in found}})
    assert stored(cloud) == {}
    assert "48 hours" in text(asks.get(f"/admin/approvals/approval/{approval.approval_id}/change/"))


def test_two_who_edit_one_type_do_not_overwrite_each_other_unseen(cloud, asks):
    asks.post(ADD, NEW)
    page = asks.get(change("travel"))
    asks.post(change("travel"), typed(page, deadline_hours="72"))
    second = asks.post(change("travel"), typed(page, deadline_hours="12"))
    assert "Someone changed this to 72 meanwhile; you have 12." in text(second)
    assert stored(cloud)["travel"]["DeadlineHours"] == 72


def test_what_somebody_else_wrote_into_the_table_is_shown_and_not_believed(cloud, asks, request_type):
    request_type("odd", Approver="whoever", Fields="<b>x</b>", Title="<script>alert(1)</script>")
    page = asks.get(LIST)
    assert "malformed: whoever" in text(page)
    assert "<script>alert" not in page.content.decode()
    page = asks.get(change("odd"))
    assert "<script>alert" not in page.content.decode()
    saved = asks.post(change("odd"), typed(page))
    assert set(saved.context["adminform"].form.errors) == {"approver", "fields"}


# --- Who may ----------------------------------------------------------------------------------------------------------


def test_auditors_see_and_change_nothing(cloud, client_for, auditor):
    asks = client_for(auditor)
    assert PROMOTION in text(asks.get(LIST))
    page = asks.get(change())
    assert page.status_code == 200
    assert 'name="_save"' not in page.content.decode()
    assert not problems(page)
    assert asks.post(change(), {**NEW}).status_code == 403
    assert asks.get(ADD).status_code == 403
    assert asks.post(f"{LIST}{PROMOTION}/delete/", {"post": "yes"}).status_code == 403
    assert stored(cloud) == {}


@pytest.mark.parametrize("path", [LIST, ADD, change()])
def test_everybody_else_is_sent_away(client, client_for, rider, path):
    assert client.get(path)["Location"].startswith("/sign-in/")
    assert client_for(rider).get(path).status_code == 403


def test_the_admins_index_leads_to_all_of_it_without_asking_for_anything(cloud, asks):
    cloud.forget_calls()
    page = asks.get("/admin/")
    assert set(cloud.calls()) == {("dynamodb", "GetItem"), ("dynamodb", "Query")}
    assert cloud.calls()["dynamodb", "Query"] == 1
    html = page.content.decode()
    for address in ("approval/", "approval/?show=open", "approval/?show=stuck", "execution/", "requesttype/"):
        assert f'href="/admin/approvals/{address}"' in html
    assert not page_problems(html)
