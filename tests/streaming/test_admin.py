"""Operators keep the catalogue: what people may start, whose it is and where it runs."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from portal.dynamo.values import from_item
from tests.html import page_problems
from tests.streaming.test_pictures import encoded, flat, kept, moving

LIST = "/admin/streaming/application/"
ADD = f"{LIST}add/"
NEW = {
    "application_id": "design-studio",
    "title": "Design Studio",
    "summary": "Draws what is to be built.",
    "groups": "operators",
    "stack": "sample-stack",
    "fleet": "sample-fleet",
    "application": "Studio",
    "opens": "tab",
    "most_minutes": "0",
    "most_sessions": "0",
    "enabled": "on",
}


def change(application_id="studio"):
    return f"{LIST}{application_id}/change/"


def text(response):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def hidden(response):
    found = re.findall(r'<input type="hidden" name="(_opened-[^"]+)" value="([^"]*)"', response.content.decode())
    return {name: unescape(value) for name, value in found}


def typed(response, **values):
    """Return what a browser sends from the form, with some fields typed over."""
    form = response.context["adminform"].form
    fields = {name: form[name].value() for name in form.fields if name != "picture"}
    fields = {name: value for name, value in fields.items() if value is not False}
    sent = {**fields, **hidden(response), **values}
    return {name: "" if value is None else value for name, value in sent.items()}


def problems(page):
    """Return what is wrong with a page's HTML; Django's buttons say their own names."""
    buttons = ("_save has", "_addanother has", "_continue has")
    return [one for one in page_problems(page.content.decode()) if not one.startswith(buttons)]


def stored(cloud):
    return {one["ApplicationId"]: one for one in map(from_item, cloud.items("streaming_applications"))}


def stored_pictures(cloud):
    """Return what is in the pictures' table, by id."""
    return {one["PictureId"]: one["Data"] for one in map(from_item, cloud.items("streaming_pictures"))}


def entries(cloud):
    return sorted(map(from_item, cloud.items("audit")), key=lambda one: one["EntryId"])


def audited(cloud):
    return [(one["ActorName"], one["Action"], one["Object"]) for one in entries(cloud)]


def errors(page):
    return list(page.context["adminform"].form.errors)


def called(cloud, service="appstream"):
    return {action: count for (name, action), count in cloud.calls().items() if name == service}


def upload(data=None, name="picture.png", kind="image/png"):
    return SimpleUploadedFile(name, encoded(flat()) if data is None else data, kind)


@pytest.fixture
def asks(client_for, operator, streaming):
    """The operator's browser."""
    return client_for(operator)


# --- The list ---------------------------------------------------------------------------------------------------------


def test_an_empty_catalogue_says_so(asks):
    page = asks.get(LIST)
    assert "There is nothing here yet." in text(page)
    assert not problems(page)


def test_each_application_says_whose_it_is_where_it_runs_and_how(cloud, asks, streaming):
    streaming.application("studio", Groups="designers\nartists", MostMinutes=90, MostSessions=1, Opens="frame")
    streaming.application("calculator")
    streaming.application("attic", Groups="", Enabled=False)
    page = asks.get(LIST)
    assert cloud.calls()["dynamodb", "Scan"] == 1
    assert called(cloud) == {}
    said = text(page)
    for fact in ("designers, artists", "everybody", "nobody", "sample-stack / sample-fleet", "90 minutes, 1 session"):
        assert fact in said, fact
    assert "the fleet’s" in said
    assert "in a page" in said
    assert not problems(page)
    found = text(asks.get(LIST, {"q": "artists"}))
    assert "Studio" in found
    assert "Calculator" not in found


# --- The form ---------------------------------------------------------------------------------------------------------


def test_an_application_is_added_with_all_that_belongs_to_it(cloud, asks, streaming):
    streaming.fleet()
    page = asks.get(ADD)
    assert not problems(page)
    saved = asks.post(ADD, {**NEW, "groups": " operators \r\nauditors\r\noperators", "picture": upload()}, follow=True)
    assert "was added successfully" in text(saved)
    item = stored(cloud)["design-studio"]
    [picture] = stored_pictures(cloud)
    assert item.pop("Picture") == picture
    assert item == {
        "ApplicationId": "design-studio",
        "Title": "Design Studio",
        "Summary": "Draws what is to be built.",
        "Groups": "operators\nauditors",
        "ShownToAll": False,
        "Stack": "sample-stack",
        "Fleet": "sample-fleet",
        "Application": "Studio",
        "Opens": "tab",
        "MostSessions": 0,
        "MostMinutes": 0,
        "IsDefault": False,
        "Enabled": True,
    }
    assert audited(cloud) == [("operator", "added", "streaming.application/design-studio")]


def test_a_new_one_is_on_the_template_s_fleet_which_is_looked_at(cloud, asks, settings):
    page = asks.get(ADD)
    assert page.context["adminform"].form["fleet"].value() == settings.STREAMING_FLEET
    cloud.forget_calls()
    saved = asks.post(ADD, {**NEW, "stack": settings.STREAMING_STACK, "fleet": settings.STREAMING_FLEET}, follow=True)
    assert "was added successfully" in text(saved)
    assert called(cloud) == {"DescribeStacks": 1, "DescribeFleets": 1, "ListAssociatedFleets": 1}


def test_saving_what_was_not_changed_writes_nothing_and_asks_nobody(cloud, asks, streaming):
    streaming.fleet()
    streaming.application(Groups="operators\nauditors")
    page = asks.get(change())
    data = typed(page, groups="operators\r\nauditors\r\n")
    before = stored(cloud)
    cloud.forget_calls()
    asks.post(change(), data)
    assert stored(cloud) == before
    assert called(cloud) == called(cloud, "cognito-idp") == {}
    assert cloud.calls()["dynamodb", "UpdateItem"] == 0


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("application_id", "Design Studio", "Small letters, digits and single hyphens only."),
        ("title", "", "This field is required."),
        ("groups", "*\noperators", "* is everybody already"),
        ("groups", "nobody", "There is no group nobody in the user pool."),
        ("groups", "operators\nnobody\nnothing", "There is no group nothing in the user pool."),
        ("stack", "", "This field is required."),
        ("stack", "a stack", "Letters, digits, underscores, dots and hyphens only, as in AWS."),
        ("stack", "sample-other", "AppStream has no stack sample-other in"),
        ("stack", "other", "add arn:aws:appstream:"),
        ("fleet", "<b>", "Letters, digits, underscores, dots and hyphens only, as in AWS."),
        ("fleet", "sample-other", "AppStream has no fleet sample-other in"),
        ("fleet", "other", ":fleet/other to the template’s parameter MoreStreamingArns."),
        ("opens", "somehow", "Select a valid choice."),
        ("most_minutes", "-1", "greater than or equal to 0"),
        ("most_minutes", "7201", "less than or equal to 7200"),
        ("most_sessions", "many", "Enter a whole number."),
    ],
)
def test_what_makes_no_sense_is_said_beside_its_field(cloud, asks, streaming, field, value, said):
    streaming.fleet()
    page = asks.post(ADD, {**NEW, field: value})
    assert errors(page) == [field]
    assert said in text(page)
    assert not problems(page)
    assert stored(cloud) == {}


def test_a_fleet_that_the_stack_does_not_have_is_said_with_those_that_it_has(cloud, asks, streaming):
    streaming.fleet()
    streaming.fleet("sample-second", stack="sample-second")
    page = asks.post(ADD, {**NEW, "fleet": "sample-second"})
    assert errors(page) == ["fleet"]
    assert "is not associated with the stack sample-stack, which has sample-fleet. Name that one" in text(page)
    cloud.admin("appstream").disassociate_fleet(FleetName="sample-fleet", StackName="sample-stack")
    page = asks.post(ADD, NEW)
    assert "is not associated with the stack sample-stack, which has none yet, or associate" in text(page)


def test_what_aws_has_now_is_what_counts(asks, streaming):
    """A fleet that was made a moment after somebody looked for it is there."""
    assert errors(asks.post(ADD, NEW)) == ["stack", "fleet"]
    streaming.cloud.admin("appstream")
    streaming.fleet()
    assert "was added successfully" in text(asks.post(ADD, NEW, follow=True))


@pytest.mark.parametrize("kind", ["throttle", "error"])
def test_where_appstream_does_not_answer_it_is_saved_with_a_warning(cloud, asks, kind):
    cloud.faults.add(service="appstream", kind=kind)
    page = asks.post(ADD, NEW, follow=True)
    assert "AppStream did not answer, so nobody has looked at sample-stack and sample-fleet." in text(page)
    assert "design-studio" in stored(cloud)


def test_where_the_user_pool_does_not_answer_it_is_saved_with_a_warning(cloud, asks, streaming):
    streaming.fleet()
    cloud.faults.add(service="cognito-idp", action="ListUsersInGroup", kind="throttle")
    page = asks.post(ADD, {**NEW, "groups": "nobody"}, follow=True)
    assert "nobody has looked whether there is the group nobody" in text(page)
    assert stored(cloud)["design-studio"]["Groups"] == "nobody"


def test_many_groups_are_looked_for_with_one_call(cloud, asks, streaming):
    streaming.fleet()
    streaming.group("painters")
    cloud.forget_calls()
    asks.post(ADD, {**NEW, "groups": "operators\nauditors\npainters"})
    assert called(cloud, "cognito-idp") == {"ListGroups": 1}
    assert "design-studio" in stored(cloud)


def test_an_id_that_is_taken_is_not_written_over(cloud, asks, streaming):
    streaming.fleet()
    streaming.application("design-studio", Title="First")
    page = asks.post(ADD, NEW)
    assert errors(page) == ["application_id"]
    assert stored(cloud)["design-studio"]["Title"] == "First"


def test_without_a_fleet_in_the_template_the_form_says_how_to_get_one(asks, settings):
    settings.STREAMING_STACK = settings.STREAMING_FLEET = ""
    assert "set its parameter StreamingImage" in text(asks.get(ADD))


# --- What can be saved and may not be meant ---------------------------------------------------------------------------


def test_a_stack_that_lets_nobody_frame_it_is_said(asks, streaming):
    streaming.fleet()
    page = asks.post(ADD, {**NEW, "opens": "frame"}, follow=True)
    assert "opens as the whole tab until the stack’s EmbedHostDomains has portal.localhost" in text(page)
    page = asks.post(change("design-studio"), typed(asks.get(change("design-studio")), title="Studio"), follow=True)
    assert "EmbedHostDomains" not in text(page)


def test_a_stack_that_lets_the_portal_frame_it_is_not(asks, streaming):
    streaming.fleet(embed=True)
    assert "EmbedHostDomains" not in text(asks.post(ADD, {**NEW, "opens": "frame"}, follow=True))


def test_another_limit_on_the_same_fleet_is_said(asks, streaming):
    streaming.fleet()
    streaming.application("studio", MostMinutes=30, Groups="operators")
    streaming.application("same", MostMinutes=60, Groups="operators")
    streaming.application("elsewhere", Fleet="sample-other")
    said = text(asks.post(ADD, {**NEW, "most_minutes": "60"}, follow=True))
    assert "Studio runs on the same stack and fleet with at most 30 minutes, and this with at most 60 minutes." in said
    assert "Same runs on" not in said
    assert "Elsewhere runs on" not in said


@pytest.mark.parametrize(
    ("groups", "is_said"),
    [("operators", True), ("*", True), ("auditors", False), ("", False)],
)
def test_another_default_for_the_same_people_is_said(asks, streaming, groups, is_said):
    streaming.fleet()
    streaming.application("studio", Groups=groups, IsDefault=True)
    said = text(asks.post(ADD, {**NEW, "is_default": "on"}, follow=True))
    assert ("Studio is what the API starts as well" in said) is is_said


def test_a_fleet_that_keeps_no_groups_apart_is_said(asks, streaming):
    """AWS: "streaming URL users are entitled to all applications in a stack". ApplicationId says what opens first.

    Reference: https://docs.aws.amazon.com/appstream2/latest/APIReference/API_CreateEntitlement.html"""
    streaming.fleet()
    streaming.application("payroll", Groups="auditors")
    said = text(asks.post(ADD, {**NEW, "groups": "*", "application": "Notepad"}, follow=True))
    assert "was added successfully" in said
    assert "Payroll runs on the same fleet and is of other groups. Whoever streams from a fleet reaches every" in said
    assert "to keep them apart, use another fleet." in said
    # It is said of what is new, and not each time.
    page = change("design-studio")
    assert "other groups" not in text(asks.post(page, typed(asks.get(page), title="Notes"), follow=True))
    said = text(asks.post(page, typed(asks.get(page), groups="operators"), follow=True))
    assert "Payroll runs on the same fleet" in said
    assert "other groups" not in text(asks.post(page, typed(asks.get(page), groups="auditors"), follow=True))


@pytest.mark.parametrize(
    "other",
    [
        {"Groups": "operators"},
        {"Groups": "auditors", "Enabled": False},
        {"Groups": "auditors", "Fleet": "sample-other"},
        {"Groups": ""},
    ],
)
def test_what_is_apart_or_of_the_same_groups_is_not_warned_of(asks, streaming, other):
    streaming.fleet()
    streaming.application("payroll", **other)
    said = text(asks.post(ADD, NEW, follow=True))
    assert "was added successfully" in said
    assert "other groups" not in said


def test_of_many_on_the_same_fleet_some_are_named(asks, streaming):
    streaming.fleet()
    for number in range(6):
        streaming.application(f"app-{number}", Groups="auditors")
    said = text(asks.post(ADD, NEW, follow=True))
    assert "App 0, App 1, App 2 and 3 others run on the same fleet and are of other groups." in said


# --- The picture ------------------------------------------------------------------------------------------------------


def test_a_picture_is_shown_replaced_and_removed(cloud, asks, streaming):
    streaming.application()
    page = asks.get(change())
    assert 'enctype="multipart/form-data"' in page.content.decode()
    assert "Remove the picture" not in text(page)
    asks.post(change(), {**typed(page), "picture": upload()})
    first = stored(cloud)["studio"]["Picture"]
    page = asks.get(change())
    assert f'src="data:image/webp;base64,{stored_pictures(cloud)[first]}"' in page.content.decode()
    assert not problems(page)
    asks.post(change(), {**typed(page), "picture": upload(encoded(flat(colour=(1, 2, 3))))})
    assert stored(cloud)["studio"]["Picture"] != first
    assert len(stored_pictures(cloud)) == 2
    asks.post(change(), {**typed(asks.get(change())), "picture-clear": "on"})
    assert "Picture" not in stored(cloud)["studio"]
    said = [[(one["Field"], one.get("From"), one.get("To")) for one in entry["Changes"]] for entry in entries(cloud)]
    assert said == [
        [("picture", "no picture", "a picture")],
        [("picture", "a picture", "another picture")],
        [("picture", "a picture", "no picture")],
    ]
    assert first not in str(entries(cloud))


def test_a_picture_stays_while_something_else_is_changed(cloud, asks, streaming):
    one = kept()
    streaming.application(Picture=one.picture_id)
    asks.post(change(), typed(asks.get(change()), title="Another"))
    assert (stored(cloud)["studio"]["Title"], stored(cloud)["studio"]["Picture"]) == ("Another", one.picture_id)


def test_the_form_reads_the_picture_once_and_the_list_none(cloud, asks, streaming):
    streaming.application(Picture=kept().picture_id)
    streaming.settle()
    asks.get(LIST)
    assert cloud.calls()["dynamodb", "GetItem"] == 1  # the session
    page = asks.get(change())
    reads = cloud.calls()["dynamodb", "GetItem"]
    assert reads == 1 + 3  # the session, the application, the picture
    asks.post(change(), typed(page, title="Another"))
    assert cloud.calls()["dynamodb", "GetItem"] == reads + 2


def test_a_picture_is_stored_only_with_its_application(cloud, asks, streaming):
    streaming.application()
    asks.post(change(), {**typed(asks.get(change())), "title": "", "picture": upload()})
    assert stored_pictures(cloud) == {}
    cloud.faults.add(service="dynamodb", action="PutItem", kind="error")
    asks.raise_request_exception = False
    assert asks.post(change(), {**typed(asks.get(change())), "picture": upload()}).status_code >= 500
    cloud.faults.clear()
    assert "Picture" not in stored(cloud)["studio"]
    asks.post(change(), {**typed(asks.get(change())), "picture": upload()})
    assert list(stored_pictures(cloud)) == [stored(cloud)["studio"]["Picture"]]


def test_two_applications_may_have_the_same_picture(cloud, asks, streaming):
    for name in ("one", "two"):
        streaming.application(name)
        asks.post(change(name), {**typed(asks.get(change(name))), "picture": upload()})
    assert [[one["Picture"]] for one in stored(cloud).values()] == [list(stored_pictures(cloud))] * 2


def test_a_picture_that_is_lost_is_said_and_can_be_given_again_or_removed(cloud, asks, streaming):
    streaming.application(Picture=kept().picture_id)
    cloud.empty("streaming_pictures")
    page = asks.get(change())
    assert "Its picture is no longer there. Choose it again, or remove it." in text(page)
    assert not problems(page)
    asks.post(change(), {**typed(page), "picture": upload()})
    assert list(stored_pictures(cloud)) == [stored(cloud)["studio"]["Picture"]]
    cloud.empty("streaming_pictures")
    asks.post(change(), {**typed(asks.get(change())), "picture-clear": "on"})
    assert "Picture" not in stored(cloud)["studio"]


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (upload(b"<svg/>", "picture.svg", "image/svg+xml"), "This is not a PNG, JPEG, GIF or WebP picture"),
        (upload(b"", "picture.png"), "This file is empty."),
        (upload(moving("GIF"), "picture.gif", "image/gif"), "This picture moves."),
        (upload(b"x" * 2_000_001), "This picture is larger than 2 MB."),
        (upload(encoded(flat((20_000, 20_000), 0, "1"))), "million pixels"),
    ],
)
def test_what_is_no_picture_is_said_beside_the_field(cloud, asks, streaming, file, said):
    streaming.application()
    file.seek(0)
    page = asks.post(change(), {**typed(asks.get(change())), "title": "Another", "picture": file})
    assert errors(page) == ["picture"]
    assert said in text(page)
    assert not problems(page)
    assert stored(cloud)["studio"]["Title"] == "Studio"


def test_replacing_and_removing_at_once_is_a_question(asks, streaming):
    streaming.application(Picture=kept().picture_id)
    page = asks.post(change(), {**typed(asks.get(change())), "picture": upload(), "picture-clear": "on"})
    assert "Choose another picture or remove the one that is there, not both." in text(page)
    assert not problems(page)


def test_a_picture_beside_another_mistake_has_to_be_chosen_once_more(asks, streaming):
    streaming.application()
    page = asks.post(change(), {**typed(asks.get(change())), "title": "", "picture": upload()})
    assert errors(page) == ["title", "picture"]
    assert "Choose the picture once more" in text(page)


def test_a_picture_that_somebody_else_changed_meanwhile_is_not_overwritten(cloud, asks, streaming):
    streaming.application()
    page = asks.get(change())
    asks.post(change(), {**typed(page), "picture": upload()})
    theirs = stored(cloud)["studio"]["Picture"]
    second = asks.post(change(), typed(page, title="Another"))
    assert "Someone changed this from no picture to a picture meanwhile." in text(second)
    assert f'src="data:image/webp;base64,{stored_pictures(cloud)[theirs]}"' in second.content.decode()
    third = asks.post(change(), {**typed(page), "picture": upload(encoded(flat(colour=(9, 9, 9))))})
    assert "Someone changed this to a picture meanwhile; you have a picture." in text(third)
    assert theirs not in re.sub(r"<[^>]+>", "", third.content.decode())
    assert stored(cloud)["studio"]["Picture"] == theirs
    asks.post(change(), typed(second, title="Another"))
    assert (stored(cloud)["studio"]["Title"], stored(cloud)["studio"]["Picture"]) == ("Another", theirs)


@pytest.mark.parametrize("odd", ['"><script>alert(1)</script>', "UklGRg" * 800])
def test_what_is_no_picture_in_the_catalogue_is_not_shown_and_in_nobody_s_way(cloud, asks, streaming, odd):
    """Such as a picture itself, which was there once."""
    streaming.application(Picture=odd)
    page = asks.get(change())
    assert odd not in page.content.decode()
    assert "Remove the picture" not in text(page)
    asks.post(change(), typed(page, title="Another"))
    assert stored(cloud)["studio"]["Title"] == "Another"
    asks.post(change(), {**typed(asks.get(change())), "picture": upload()})
    assert list(stored_pictures(cloud)) == [stored(cloud)["studio"]["Picture"]]


# --- Deleting and the history -----------------------------------------------------------------------------------------


def launched(streaming, ask, person, **body):
    """Let somebody start an application and arrive in it."""
    answer = ask(person, **body)
    assert answer.status_code == 201, answer.content
    assert streaming.open(answer.json()["Message"]).status == 200
    streaming.settle()


def test_deleting_says_what_runs_and_ends_nothing(cloud, asks, ask, streaming, rider):
    streaming.fleet()
    streaming.application("studio", Picture=kept().picture_id)
    streaming.application("calculator")
    launched(streaming, ask, rider, Application="studio")
    page = asks.get(f"{LIST}studio/delete/")
    assert called(cloud) == {"DescribeSessions": 1}
    assert "1 session that began with it is running. Deleting it ends no session" in text(page)
    assert not problems(page)
    assert "began with it" not in text(asks.get(f"{LIST}calculator/delete/"))
    asks.post(f"{LIST}studio/delete/", {"post": "yes", **hidden(page)})
    assert list(stored(cloud)) == ["calculator"]
    assert len(streaming.sessions()) == 1
    last = entries(cloud)[-1]
    assert last["Action"] == "deleted"
    assert ("picture", "a picture") in [(one["Field"], one["From"]) for one in last["Changes"]]


@pytest.mark.parametrize("kind", ["throttle", "error"])
def test_deleting_works_without_appstream(cloud, asks, streaming, kind):
    streaming.application()
    cloud.faults.add(service="appstream", kind=kind)
    page = asks.get(f"{LIST}studio/delete/")
    assert "Sessions that began with it may be running." in text(page)
    asks.post(f"{LIST}studio/delete/", {"post": "yes", **hidden(page)})
    assert stored(cloud) == {}


def test_deleting_one_whose_fleet_is_gone_works(asks, streaming):
    streaming.application(Fleet="sample-gone", Stack="sample-gone")
    page = asks.get(f"{LIST}studio/delete/")
    assert page.status_code == 200
    assert not problems(page)


def test_several_are_deleted_at_once(cloud, asks, streaming):
    for name in ("one", "two"):
        streaming.application(name)
    data = {"action": "delete_selected", "_selected_action": ["one", "two"]}
    page = asks.post(LIST, data)
    assert "Deleting them ends no session" in text(page)
    assert not problems(page)
    asks.post(LIST, {**data, "post": "yes", **hidden(page)})
    assert stored(cloud) == {}


def test_the_history_shows_who_started_it_and_when_and_never_the_address(cloud, asks, ask, streaming, rider):
    streaming.fleet()
    streaming.application()
    answer = ask(rider)
    assert answer.status_code == 201
    page = asks.get(f"{LIST}studio/history/")
    said = text(page)
    assert "rider launched stack and fleet: sample-stack/sample-fleet" in said
    assert "UTC" in said
    assert not problems(page)
    secret = answer.json()["Message"].partition("=")[2]
    assert secret
    assert secret not in str(entries(cloud))


# --- Two at once, and what somebody else wrote ------------------------------------------------------------------------


def test_two_who_edit_one_application_do_not_overwrite_each_other_unseen(cloud, asks, streaming):
    streaming.application()
    page = asks.get(change())
    asks.post(change(), typed(page, most_minutes="72"))
    second = asks.post(change(), typed(page, most_minutes="12"))
    assert "Someone changed this to 72 meanwhile; you have 12." in text(second)
    assert stored(cloud)["studio"]["MostMinutes"] == 72


def test_what_somebody_else_wrote_into_the_table_is_shown_and_not_believed(asks, streaming):
    nasty = "<script>alert(1)</script>"
    streaming.application("odd", Title=nasty, Groups=nasty, Summary=nasty, Stack=nasty, Fleet="a/b", Opens=nasty)
    for path in (LIST, change("odd"), f"{LIST}odd/delete/", f"{LIST}odd/history/"):
        page = asks.get(path)
        assert page.status_code == 200, path
        assert "<script>alert" not in page.content.decode()
    saved = asks.post(change("odd"), typed(asks.get(change("odd")), title="Odd"))
    assert {"stack", "fleet", "opens"} <= set(errors(saved))


def test_an_item_with_hardly_anything_in_it_is_shown(cloud, asks, streaming, settings):
    cloud.admin("dynamodb").put_item(
        TableName=settings.TABLES["streaming_applications"], Item={"ApplicationId": {"S": "bare"}}
    )
    for path in (LIST, change("bare"), f"{LIST}bare/delete/"):
        assert asks.get(path).status_code == 200, path


# --- Who may ----------------------------------------------------------------------------------------------------------


def test_auditors_see_and_change_nothing(cloud, client_for, auditor, streaming):
    one = kept()
    streaming.application(Picture=one.picture_id)
    asks = client_for(auditor)
    assert "Studio" in text(asks.get(LIST))
    page = asks.get(change())
    assert page.status_code == 200
    assert f'src="data:image/webp;base64,{one.data}"' in page.content.decode()
    assert one.data not in text(page)
    for name in ('name="_save"', 'type="file"'):
        assert name not in page.content.decode()
    assert not problems(page)
    assert asks.post(change(), {**NEW}).status_code == 403
    assert asks.get(ADD).status_code == 403
    assert asks.post(f"{LIST}studio/delete/", {"post": "yes"}).status_code == 403
    assert stored(cloud)["studio"]["Title"] == "Studio"


@pytest.mark.parametrize("path", [LIST, ADD, change()])
def test_everybody_else_is_sent_away(client, client_for, rider, path):
    assert client.get(path)["Location"].startswith("/sign-in/")
    assert client_for(rider).get(path).status_code == 403


@pytest.mark.parametrize("name", ["nothing", "x" * 300, "é☃", "a_2Fb", "..", "%00", "x" * 3000])
def test_an_address_of_nothing_leads_to_the_list(asks, name):
    page = asks.get(change(name), follow=True)
    assert page.status_code in (200, 404), name
    if page.status_code == 200:
        assert "doesn’t exist" in text(page)


def test_the_admins_index_leads_to_all_of_it_without_asking_for_anything(cloud, asks):
    page = asks.get("/admin/")
    assert set(cloud.calls()) == {("dynamodb", "GetItem"), ("dynamodb", "Query")}
    html = page.content.decode()
    for address, name in (("application", "applications"), ("fleet", "fleets"), ("session", "sessions")):
        assert re.search(rf'<a href="/admin/streaming/{address}/"[^>]*>\s*Streaming {name}\s*</a>', html), name
    assert not page_problems(html)
