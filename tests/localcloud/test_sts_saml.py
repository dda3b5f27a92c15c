"""Contract of saml_roles.py and saml_assertions.py: STS AssumeRoleWithSAML."""

import base64
import hashlib
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore import UNSIGNED

from tests import saml
from tests.localcloud.pools import refusal
from tests.localcloud.roles import allow, deny, document, key_of, make_role, trusting
from tests.localcloud.running_cloud import ACCOUNT_ID, REGION, RunningCloud

ACS = "http://127.0.0.1:8000/sign-in/saml/acs/"
ACTION = "sts:AssumeRoleWithSAML"
TAG = "https://aws.amazon.com/SAML/Attributes/PrincipalTag:"
SESSION_DURATION = "https://aws.amazon.com/SAML/Attributes/SessionDuration"
SIGNATURE_INVALID = "Response signature invalid"


class Provider:
    """A SAML provider in IAM, and a role that trusts it for the portal's address."""

    def __init__(self, cloud: RunningCloud) -> None:
        self.cloud, self.name = cloud, f"company-{uuid.uuid4().hex[:8]}"
        self.arn: str = cloud.client("iam").create_saml_provider(
            Name=self.name, SAMLMetadataDocument=saml.metadata().ljust(1000)
        )["SAMLProviderArn"]
        self.role = make_role(cloud, trust=self.trust())

    def trust(self, *actions: str, **conditions: Any) -> str:
        conditions = {"StringEquals": {"SAML:aud": ACS}, **conditions}
        return trusting({"Federated": self.arn}, list(actions or (ACTION,)), **conditions)

    def response(self, **what: Any) -> str:
        return saml.response(**{"role": self.role, "provider": self.arn, "acs": ACS, **what})

    def assume(self, response: str, **options: Any) -> Any:
        sts = self.cloud.client("sts", signature_version=UNSIGNED)
        call = {"RoleArn": self.role, "PrincipalArn": self.arn, "SAMLAssertion": response}
        return sts.assume_role_with_saml(**{**call, **options})

    def refused(self, response: str, **options: Any) -> tuple[str, str]:
        return refusal(lambda: self.assume(response, **options))


@pytest.fixture(scope="module")
def provider(cloud: RunningCloud) -> Provider:
    return Provider(cloud)


@pytest.mark.parametrize("signed", ["assertion", "response", "both"])
def test_signed_response_opens_a_session_and_says_whose(cloud: RunningCloud, provider: Provider, signed: str) -> None:
    answer = provider.assume(provider.response(name_id="ada", session_name="ada@acme", signed=signed))
    name = provider.role.rpartition("/")[2]
    qualifier = hashlib.sha1(f"{saml.ENTITY_ID}{ACCOUNT_ID}/{provider.name}".encode()).digest()
    said = {name: value for name, value in answer.items() if isinstance(value, (str, int))}
    assert said == {
        "Subject": "ada",
        "SubjectType": "persistent",
        "Issuer": saml.ENTITY_ID,
        "Audience": ACS,
        "NameQualifier": base64.b64encode(qualifier).decode(),
        "PackedPolicySize": 0,
    }
    arn = f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{name}/ada@acme"
    assert answer["AssumedRoleUser"]["Arn"] == arn
    assert cloud.client("sts", key=key_of(answer["Credentials"])).get_caller_identity()["Arn"] == arn
    assert answer["Credentials"]["Expiration"] > datetime.now(UTC) + timedelta(minutes=59)


def test_other_kinds_of_names_are_told(provider: Provider) -> None:
    for kind, told in (
        ("urn:oasis:names:tc:SAML:2.0:nameid-format:transient", "transient"),
        ("urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",) * 2,
    ):
        assert provider.assume(provider.response(name_id_format=kind))["SubjectType"] == told


# The names are saml.attacks()'s; making them takes keys, so they are made in the test.
@pytest.fixture(scope="module")
def attacks(provider: Provider) -> dict[str, str]:
    return saml.attacks(role=provider.role, provider=provider.arn, acs=ACS)


def test_attacks_are_refused(provider: Provider, attacks: dict[str, str]) -> None:
    opened = {}
    for name, response in attacks.items():
        sts = provider.cloud.client("sts", signature_version=UNSIGNED, parameter_validation=False)
        call = {"RoleArn": provider.role, "PrincipalArn": provider.arn, "SAMLAssertion": response}
        opened[name] = refusal(lambda sts=sts, call=call: sts.assume_role_with_saml(**call))[0]
    assert len(opened) > 20
    others = {"expired": "ExpiredTokenException", "failed": "IDPRejectedClaim"}
    assert opened == {name: others.get(name, "InvalidIdentityToken") for name in attacks}


def test_comment_does_not_cut_a_name_short(provider: Provider) -> None:
    response = saml.with_comment_in_name_id(
        before="ada", after=".evil", role=provider.role, provider=provider.arn, acs=ACS
    )
    assert provider.assume(response)["Subject"] == "ada.evil"


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({"issuer": "https://somebody.example"}, "InvalidIdentityToken"),
        ({"audience": "https://portico.example"}, "InvalidIdentityToken"),
        ({"session_name": ""}, "InvalidIdentityToken"),
        ({"session_name": "not a name"}, "InvalidIdentityToken"),
        ({"role": "", "provider": ""}, "InvalidIdentityToken"),
        ({"role": "arn:aws:iam::123456789012:role/other"}, "AccessDenied"),
        ({"provider": "arn:aws:iam::123456789012:saml-provider/other"}, "AccessDenied"),
        ({"recipient": "https://elsewhere.example/acs"}, "AccessDenied"),
        ({"age": timedelta(minutes=6), "valid_seconds": 3600}, "ExpiredTokenException"),
        ({"age": timedelta(minutes=2), "valid_seconds": 60}, "ExpiredTokenException"),
        ({"age": timedelta(minutes=-10)}, "InvalidIdentityToken"),
    ],
)
def test_what_the_assertion_says_must_be_in_order(provider: Provider, what: dict[str, Any], code: str) -> None:
    said = dict(what)
    issued_at = datetime.now(UTC) - said.pop("age", timedelta())
    assert provider.refused(provider.response(now=issued_at, **said))[0] == code


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"PrincipalArn": f"arn:aws:iam::{ACCOUNT_ID}:saml-provider/nobody"}, "InvalidIdentityToken"),
        ({"RoleArn": f"arn:aws:iam::{ACCOUNT_ID}:role/nobody"}, "AccessDenied"),
        ({"Policy": "no policy"}, "MalformedPolicyDocument"),
        ({"DurationSeconds": 3601}, "ValidationError"),
    ],
)
def test_call_must_be_in_order(provider: Provider, options: dict[str, Any], code: str) -> None:
    assert provider.refused(provider.response(), **options)[0] == code


@pytest.mark.parametrize(
    ("condition", "may"),
    [
        ({"StringEquals": {"SAML:aud": ACS, "SAML:iss": saml.ENTITY_ID, "SAML:sub": "ada"}}, True),
        ({"StringEquals": {"SAML:sub_type": "persistent"}}, True),
        ({"StringEquals": {"SAML:sub": "bob"}}, False),
        ({"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}}, False),
        ({"StringLike": {"saml:doc": f"{ACCOUNT_ID}/company-*"}}, True),
        ({"StringEquals": {"saml:namequalifier": "another's"}}, False),
    ],
)
def test_trust_policy_decides(cloud: RunningCloud, provider: Provider, condition: dict[str, Any], may: bool) -> None:
    role = make_role(cloud, trust=provider.trust(**condition))
    response = provider.response(role=role)
    if may:
        provider.assume(response, RoleArn=role)
    else:
        assert provider.refused(response, RoleArn=role) == ("AccessDenied", f"Not authorized to perform {ACTION}")


@pytest.mark.parametrize("tagging", [True, False])
def test_tags_and_subject_reach_the_session(cloud: RunningCloud, provider: Provider, tagging: bool, name: str) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    own = allow("s3:PutObject", f"arn:aws:s3:::{name}/${{saml:sub}}/${{aws:PrincipalTag/team}}")
    role = make_role(cloud, own, trust=provider.trust(*((ACTION, "sts:TagSession") if tagging else (ACTION,))))
    response = provider.response(role=role, extra={f"{TAG}team": "blue"})
    if not tagging:
        assert provider.refused(response, RoleArn=role)[0] == "AccessDenied"
        return
    as_person = cloud.client("s3", key=key_of(provider.assume(response, RoleArn=role)["Credentials"]))
    as_person.put_object(Bucket=name, Key="ada/blue", Body=b"")
    assert refusal(lambda: as_person.put_object(Bucket=name, Key="ada/red", Body=b""))[0] == "AccessDenied"
    assert refusal(lambda: as_person.put_object(Bucket=name, Key="bob/blue", Body=b""))[0] == "AccessDenied"


def test_session_policy_can_leave_nothing(cloud: RunningCloud, provider: Provider) -> None:
    role = make_role(cloud, allow("s3:ListAllMyBuckets", "*"), trust=provider.trust())
    plain = provider.assume(provider.response(role=role), RoleArn=role)
    cloud.client("s3", key=key_of(plain["Credentials"])).list_buckets()
    nothing = provider.assume(provider.response(role=role), RoleArn=role, Policy=document(deny("*", "*")))
    s3 = cloud.client("s3", key=key_of(nothing["Credentials"]))
    assert refusal(s3.list_buckets)[0] == "AccessDenied"


def test_assertion_can_say_how_long(provider: Provider) -> None:
    def lasts(**options: Any) -> int:
        response = provider.response(extra={SESSION_DURATION: "1200"})
        left = provider.assume(response, **options)["Credentials"]["Expiration"] - datetime.now(UTC)
        return round(left.total_seconds() / 100) * 100

    assert lasts() == 1200
    assert lasts(DurationSeconds=1800) == 1800


def test_metadata_of_another_company_is_of_no_use(cloud: RunningCloud) -> None:
    other = Provider(cloud)
    cloud.client("iam").update_saml_provider(
        SAMLProviderArn=other.arn, SAMLMetadataDocument=saml.metadata(signing_key=saml.other_key()).ljust(1000)
    )
    code, message = other.refused(other.response())
    assert (code, message.partition(":")[0]) == ("InvalidIdentityToken", SIGNATURE_INVALID)
