"""Which SAML responses have one reading only, and what it is."""

from __future__ import annotations

import base64
import re
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st

from portal.accounts.doors import saml, saml_messages
from portal.accounts.refusals import AssertionRefused
from tests import saml as company

ACS = "https://portal.example.com/sign-in/saml/acs/"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DS = "http://www.w3.org/2000/09/xmldsig#"
OTHERS = "<saml:Audience>other</saml:Audience>"
# What only AWS can see: whose signature it is, and whether it fits.
SEEN_BY_AWS = {"another's key", "another's key, our certificate", "changed after signing"}


def response(**what: Any) -> str:
    return company.response(**{"acs": ACS, "now": NOW, **what})


def read(encoded: str, *, now: datetime = NOW) -> saml.Assertion:
    return saml.read(encoded, acs=ACS, now=now)


def reason(encoded: str, *, now: datetime = NOW) -> str:
    with pytest.raises(AssertionRefused) as refusal:
        read(encoded, now=now)
    return refusal.value.reason


def edited(old: str, new: str, **what: Any) -> str:
    """Return a response that was changed after it was signed: what is wrong is seen before the signature is."""
    return company.edited(response(**what), old, new)


@pytest.mark.parametrize("signed", ["assertion", "response", "both"])
def test_a_response_is_read(signed: str) -> None:
    assertion = read(response(signed=signed, name_id="ada", in_response_to="_asked"))
    assert (assertion.subject, assertion.issuer, assertion.recipient) == ("ada", company.ENTITY_ID, ACS)
    assert assertion.in_response_to == "_asked"
    assert assertion.attributes["email"] == "ada@acme.example"
    assert assertion.session_ends_at is None


def test_line_breaks_in_base_64_are_allowed() -> None:
    assert read(base64.encodebytes(base64.b64decode(response())).decode()).subject == "ada"


def test_what_nobody_may_accept_is_refused_before_aws_is_asked() -> None:
    attacks = company.attacks(acs=ACS)
    assert set(attacks) > SEEN_BY_AWS
    for name in set(attacks) - SEEN_BY_AWS:
        with pytest.raises(AssertionRefused):
            print(name, saml.read(attacks[name], acs=ACS, now=datetime.now(UTC)))


def test_the_reason_says_nothing_of_what_the_response_holds() -> None:
    assert "mallory" not in reason(edited(">ada</saml:NameID>", ">\nmallory</saml:NameID>"))


# --- One way to read it -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (">ada</saml:NameID>", ">a<!---->da</saml:NameID>", "a comment"),
        (">ada</saml:NameID>", ">a<?x?>da</saml:NameID>", "a processing instruction"),
        (">ada</saml:NameID>", ">a<b/>da</saml:NameID>", "not plain text"),
        (">ada@acme.example<", ">ada<!---->@acme.example<", "a comment"),
        ('Version="2.0" IssueInstant', 'Version="1.1" IssueInstant', "version"),
        ("<saml:Subject>", "<saml:EncryptedID/><saml:Subject>", "encrypted"),
        ("<saml:Subject>", "<Assertion/><saml:Subject>", "one assertion"),
        ("<saml:Subject>", "<samlp:Response/><saml:Subject>", "one assertion"),
        ("<saml:Subject>", "<saml:Subject/><saml:Subject>", "one Subject"),
        ("<saml:SubjectConfirmation ", "<saml:NameID>eve</saml:NameID><saml:SubjectConfirmation ", "one NameID"),
        ("<saml:Conditions ", "<saml:Conditions/><saml:Conditions ", "one Conditions"),
        ("</ds:SignedInfo>", '</ds:SignedInfo><ds:Object Id="o"/>', "more than one thing"),
        ("</ds:SignedInfo>", '<ds:Reference URI="#x"/></ds:SignedInfo>', "more than one thing"),
        ("<ds:Transforms>", '<ds:Transforms><ds:Transform Algorithm="xslt"/>', "made of it"),
        ("<saml:Subject>", f'<Signature xmlns="{DS}"/><saml:Subject>', "not in its place"),
        ("<saml:Subject>", "<saml:Subject><Signature/>", "not in its place"),
        ('<ds:Reference URI="#', '<ds:Reference URI="#x', "something else"),
        ('<ds:Reference URI="#', '<ds:Reference URI="" Type="#', "something else"),
    ],
)
def test_a_second_reading_is_refused(old: str, new: str, why: str) -> None:
    assert why in reason(edited(old, new))


def test_an_assertion_elsewhere_is_refused() -> None:
    document = base64.b64decode(response()).decode()
    moved = document.replace("<saml:Assertion ", "<samlp:Extensions><saml:Assertion ", 1)
    moved = moved.replace("</saml:Assertion>", "</saml:Assertion></samlp:Extensions>", 1)
    assert "not in its place" in reason(base64.b64encode(moved.encode()).decode())


def test_a_response_in_another_language_is_none() -> None:
    assert (
        reason(edited('xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"', 'xmlns:samlp="x"')) == "it is no response"
    )


def test_two_elements_with_one_id_are_refused() -> None:
    encoded = response()
    document = base64.b64decode(encoded).decode()
    identifier = re.search(r'Assertion [^>]*ID="([^"]+)"', document)[1]
    assert "one ID" in reason(company.edited(encoded, "<saml:Subject>", f'<saml:Subject Id="{identifier}">'))


def test_a_signature_elsewhere_is_refused() -> None:
    encoded = response(signed="both")
    document = base64.b64decode(encoded).decode()
    signature = re.search(r"<ds:Signature.*?</ds:Signature>", document, re.DOTALL)[0]
    moved = document.replace(signature, "", 1).replace("<samlp:Status>", f"<samlp:Status>{signature}", 1)
    assert "not in its place" in reason(base64.b64encode(moved.encode()).decode())


@pytest.mark.parametrize(
    "head", ['<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">', '<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///x">%p;]>']
)
def test_a_document_type_is_refused_and_nothing_is_fetched(head: str) -> None:
    document = head.encode() + base64.b64decode(response())
    assert reason(base64.b64encode(document).decode()) == "it has a document type"


@given(st.binary(max_size=300))
def test_whatever_else_is_sent_is_refused(junk: bytes) -> None:
    reason(base64.b64encode(junk).decode())


@given(st.text(max_size=300))
def test_whatever_text_is_sent_is_refused(junk: str) -> None:
    reason(junk)


@given(st.data())
def test_no_single_changed_character_names_somebody_else(data: st.DataObject) -> None:
    """A signature that was not looked at yet leaves room in the text itself, but nowhere else is a name read from."""
    document = bytearray(base64.b64decode(_GOOD))
    place = data.draw(st.integers(0, len(document) - 1))
    document[place] = data.draw(st.integers(0, 255))
    try:
        assertion = read(base64.b64encode(document).decode())
    except AssertionRefused:
        return
    start = _GOOD_TEXT.index(">ada</saml:NameID>") + 1
    assert assertion.subject == "ada" or start <= place < start + 3


_GOOD = response()
_GOOD_TEXT = base64.b64decode(_GOOD).decode()


# --- What it says -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({"audience": "urn:amazon:cognito:sp:eu-west-1_x"}, "another audience"),
        ({"audience": ""}, "another audience"),
        ({"recipient": "https://signin.aws.amazon.com/saml"}, "another recipient"),
        ({"recipient": ACS.upper()}, "another recipient"),
        ({"recipient": f"{ACS}?x"}, "another recipient"),
        ({"recipient": ""}, "another recipient"),
        ({"destination": "https://other.example/acs/"}, "another address"),
        ({"name_id": ""}, "cannot be anybody's"),
        ({"name_id": " ada"}, "cannot be anybody's"),
        ({"name_id": "a\nda"}, "cannot be anybody's"),
        ({"name_id": "a" * 257}, "cannot be anybody's"),
        ({"name_id_format": "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"}, "not a persistent one"),
        ({"name_id_format": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"}, "not a persistent one"),
        ({"issuer": ""}, "issuer"),
        ({"status": "urn:oasis:names:tc:SAML:2.0:status:AuthnFailed"}, "a failure"),
    ],
)
def test_what_it_must_say(what: dict[str, Any], why: str) -> None:
    assert why in reason(response(**what))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("cm:bearer", "cm:sender-vouches", "bearer"),
        ("<saml:SubjectConfirmationData ", '<saml:SubjectConfirmationData NotBefore="2026-11-21T12:00:00Z" ', "when"),
        ('SubjectConfirmationData NotOnOrAfter="2026-11-21T12:05:00.000Z"', "SubjectConfirmationData", "until when"),
        ("2026-11-21T12:05:00.000Z", "2026-11-21T12:05:00.000", "not a time"),
        ("2026-11-21T12:05:00.000Z", "2026-02-31T12:05:00Z", "not a time"),
        ("2026-11-21T12:05:00.000Z", "99999-11-21T12:05:00Z", "not a time"),
        ("<saml:AudienceRestriction>", "<saml:Condition/><saml:AudienceRestriction>", "not known"),
        (
            "<saml:AudienceRestriction>",
            f"<saml:AudienceRestriction>{OTHERS}</saml:AudienceRestriction><saml:AudienceRestriction>",
            "another audience",
        ),
        ("urn:amazon:webservices<", "urn:amazon:webservices.evil.example<", "another audience"),
        ("saml:AuthnStatement", "saml:AuthzDecisionStatement", "anybody signed in"),
        ("SessionIndex=", 'SessionNotOnOrAfter="2026-11-21T11:59:00Z" SessionIndex=', "session is over"),
    ],
)
def test_what_it_must_say_elsewhere(old: str, new: str, why: str) -> None:
    assert why in reason(edited(old, new))


def test_another_issuer_in_the_response_than_in_the_assertion_is_refused() -> None:
    document = base64.b64decode(response()).decode()
    mixed = document.replace(company.ENTITY_ID, "https://other.example", 1)
    assert "issuer" in reason(base64.b64encode(mixed.encode()).decode())


def test_an_answer_to_two_requests_is_refused() -> None:
    encoded = response(in_response_to="_one")
    document = base64.b64decode(encoded).decode().replace('InResponseTo="_one"', 'InResponseTo="_two"', 1)
    assert "two requests" in reason(base64.b64encode(document.encode()).decode())


@pytest.mark.parametrize(
    ("now", "valid_seconds", "is_valid"),
    [
        (NOW - timedelta(seconds=61), 300, False),
        (NOW - timedelta(seconds=59), 300, True),
        (NOW, 300, True),
        (NOW + timedelta(seconds=119), 60, True),
        (NOW + timedelta(seconds=120), 60, False),
        (NOW + timedelta(seconds=359), 7200, True),
        # AWS takes none that is older than five minutes, however long it says that it is good.
        (NOW + timedelta(seconds=360), 7200, False),
    ],
)
def test_clocks_may_be_a_minute_apart(now: datetime, valid_seconds: int, is_valid: bool) -> None:
    encoded = response(valid_seconds=valid_seconds)
    if is_valid:
        assert read(encoded, now=now).subject == "ada"
    else:
        reason(encoded, now=now)


@pytest.mark.parametrize("where", ["SubjectConfirmationData", "Conditions NotBefore"])
def test_either_end_counts(where: str) -> None:
    document = base64.b64decode(response()).decode()
    past = re.sub(rf'(<saml:{where}.*?NotOnOrAfter=")[^"]*', r"\g<1>2026-11-21T11:58:00Z", document, count=1)
    assert past.count("11:58:00Z") == 1
    assert reason(base64.b64encode(past.encode()).decode()) == "it has expired"


def test_what_will_be_made_later_is_refused() -> None:
    later = NOW + timedelta(minutes=3)
    assert "not valid yet" in reason(response(now=later, not_before=NOW - timedelta(minutes=1)))


def test_the_earliest_end_of_the_companys_session_counts() -> None:
    encoded = edited("SessionIndex=", 'SessionNotOnOrAfter="2026-11-21T12:20:00Z" SessionIndex=')
    assert read(encoded).session_ends_at == NOW + timedelta(minutes=20)


# --- What the portal sends --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["https://idp.example/sso", "https://idp.example/sso?tenant=1&x=y"])
def test_the_request_says_who_asks_and_where_the_answer_goes(provider: str) -> None:
    address = saml_messages.sign_in_address(provider, request_id="_1", acs=ACS, relay_state="/rides/?a=b&c", now=NOW)
    assert address.startswith(provider)
    query = parse_qs(urlsplit(address).query)
    assert query["RelayState"] == ["/rides/?a=b&c"]
    root = ElementTree.fromstring(zlib.decompress(base64.b64decode(query["SAMLRequest"][0]), wbits=-15))
    assert root.get("AssertionConsumerServiceURL") == ACS
    assert root.get("Destination") == provider
    assert root.get("ID") == "_1"
    assert root.findtext("{urn:oasis:names:tc:SAML:2.0:assertion}Issuer") == saml.AUDIENCE


def test_request_ids_are_random_and_fit_for_xml() -> None:
    made = {saml_messages.new_request_id() for _ in range(50)}
    assert len(made) == 50
    assert all(saml._ID.fullmatch(one) for one in made)


def test_metadata_names_the_address_for_answers() -> None:
    root = ElementTree.fromstring(saml_messages.metadata(ACS))
    assert root.get("entityID") == saml.AUDIENCE
    [service] = root.iter("{urn:oasis:names:tc:SAML:2.0:metadata}AssertionConsumerService")
    assert service.get("Location") == ACS
