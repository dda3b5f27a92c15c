"""Contract of cognito_second_factors.py and cognito_texts.py, and of cognito_codes.py for telephone numbers."""

import itertools
import json
import re
from typing import Any

import pytest

from portal.localcloud.standins.cognito_texts import masked
from tests.localcloud.pools import PASSWORD, Pool, refusal
from tests.localcloud.running_cloud import RunningCloud, wait_until
from tests.localcloud.test_cognito_challenges import answer_totp, enrol
from tests.totp import totp

SMS_CONFIGURATION = {"SnsCallerArn": "arn:aws:iam::123456789012:role/sms", "ExternalId": "of-the-tests"}
_numbers = itertools.count(15550100)


def pool_with(cloud: RunningCloud, configuration: str, *, totp: bool = True, sms: bool = True) -> Pool:
    pool = Pool(cloud, pool_settings={"AutoVerifiedAttributes": ["email", "phone_number"]})
    pool.cognito.set_user_pool_mfa_config(
        UserPoolId=pool.pool_id,
        MfaConfiguration=configuration,
        SoftwareTokenMfaConfiguration={"Enabled": totp},
        **({"SmsMfaConfiguration": {"SmsConfiguration": SMS_CONFIGURATION}} if sms else {}),
    )
    return pool


@pytest.fixture(scope="module")
def pool(cloud: RunningCloud) -> Pool:
    """Return a pool where both factors are a user's own choice."""
    return pool_with(cloud, "OPTIONAL")


def add_with_number(pool: Pool, *, verified: bool = True) -> tuple[str, str]:
    """Create a user with a telephone and return their name and number."""
    username, number = pool.add_confirmed(), f"+1202{next(_numbers)}"
    attributes = [
        {"Name": "phone_number", "Value": number},
        {"Name": "phone_number_verified", "Value": str(verified).lower()},
    ]
    pool.cognito.admin_update_user_attributes(UserPoolId=pool.pool_id, Username=username, UserAttributes=attributes)
    return username, number


def prefer(pool: Pool, username: str, **factors: bool | None) -> None:
    """Prefer (True) or only enable (False) sms and totp; None disables."""
    names = {"sms": "SMSMfaSettings", "totp": "SoftwareTokenMfaSettings"}
    settings = {
        names[factor]: {"Enabled": preferred is not None, "PreferredMfa": bool(preferred)}
        for factor, preferred in factors.items()
    }
    pool.cognito.admin_set_user_mfa_preference(UserPoolId=pool.pool_id, Username=username, **settings)


def texted_code(pool: Pool, number: str) -> str:
    found = re.search(r"\b\d{6}\b", pool.cloud.texts_to(number)[-1])
    assert found is not None
    return found[0]


def answer_text(pool: Pool, username: str, session: str, code: str) -> Any:
    return pool.respond("SMS_MFA", session, USERNAME=username, SMS_MFA_CODE=code)


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06d}"


def test_code_is_texted_and_signs_in(pool: Pool) -> None:
    username, number = add_with_number(pool)
    prefer(pool, username, sms=True)
    asked = pool.sign_in(username)
    assert asked["ChallengeName"] == "SMS_MFA"
    assert asked["ChallengeParameters"]["CODE_DELIVERY_DELIVERY_MEDIUM"] == "SMS"
    assert asked["ChallengeParameters"]["CODE_DELIVERY_DESTINATION"] == masked(number)
    code = texted_code(pool, number)
    assert refusal(lambda: answer_text(pool, username, asked["Session"], wrong(code)))[0] == "CodeMismatchException"
    assert "AuthenticationResult" in answer_text(pool, username, asked["Session"], code)
    assert refusal(lambda: answer_text(pool, username, asked["Session"], code))[0] == "NotAuthorizedException"


def test_each_sign_in_has_a_code_of_its_own(pool: Pool) -> None:
    username, number = add_with_number(pool)
    prefer(pool, username, sms=True)
    first, code = pool.sign_in(username)["Session"], texted_code(pool, number)
    second = pool.sign_in(username)["Session"]
    while texted_code(pool, number) == code:
        second = pool.sign_in(username)["Session"]
    assert refusal(lambda: answer_text(pool, username, second, code))[0] == "CodeMismatchException"
    assert "AuthenticationResult" in answer_text(pool, username, first, code)


def test_code_is_for_its_own_user(pool: Pool) -> None:
    (bob, number), (eve, eves_number) = add_with_number(pool), add_with_number(pool)
    for username in (bob, eve):
        prefer(pool, username, sms=True)
    session = pool.sign_in(bob)["Session"]
    pool.sign_in(eve)
    for code in (texted_code(pool, number), texted_code(pool, eves_number)):
        assert refusal(lambda code=code: answer_text(pool, eve, session, code))[0] == "NotAuthorizedException"


def test_wrong_codes_end_the_session(pool: Pool) -> None:
    username, number = add_with_number(pool)
    prefer(pool, username, sms=True)
    session = pool.sign_in(username)["Session"]
    code = texted_code(pool, number)
    for _ in range(5):
        assert refusal(lambda: answer_text(pool, username, session, wrong(code)))[0] == "CodeMismatchException"
    assert refusal(lambda: answer_text(pool, username, session, code))[0] == "NotAuthorizedException"


def test_admin_flow_asks_for_the_text_too(pool: Pool) -> None:
    username, number = add_with_number(pool)
    prefer(pool, username, sms=True)
    client = {"UserPoolId": pool.pool_id, "ClientId": pool.client_id}
    parameters = {"USERNAME": username, "PASSWORD": PASSWORD}
    asked = pool.cognito.admin_initiate_auth(**client, AuthFlow="ADMIN_USER_PASSWORD_AUTH", AuthParameters=parameters)
    responses = {"USERNAME": username, "SMS_MFA_CODE": texted_code(pool, number)}
    done = pool.cognito.admin_respond_to_auth_challenge(
        **client, ChallengeName="SMS_MFA", Session=asked["Session"], ChallengeResponses=responses
    )
    assert "AuthenticationResult" in done


def test_number_must_be_verified_to_be_a_factor(pool: Pool) -> None:
    username, _number = add_with_number(pool, verified=False)
    assert refusal(lambda: prefer(pool, username, sms=True))[0] == "InvalidParameterException"
    token = pool.sign_in(username)["AuthenticationResult"]["AccessToken"]
    wish = {"AccessToken": token, "SMSMfaSettings": {"Enabled": True}}
    assert refusal(lambda: pool.cognito.set_user_mfa_preference(**wish))[0] == "InvalidParameterException"
    assert "AuthenticationResult" in pool.sign_in(username)


def test_wishes_that_make_no_sense_are_refused(pool: Pool) -> None:
    username, _number = add_with_number(pool)
    enrol(pool, username)
    assert refusal(lambda: prefer(pool, username, sms=True, totp=True))[0] == "InvalidParameterException"
    odd = {"Username": username, "SMSMfaSettings": {"Enabled": False, "PreferredMfa": True}}
    call = pool.cognito.admin_set_user_mfa_preference
    assert refusal(lambda: call(UserPoolId=pool.pool_id, **odd))[0] == "InvalidParameterException"


def test_person_with_both_chooses(pool: Pool) -> None:
    username, number = add_with_number(pool)
    secret = enrol(pool, username)
    prefer(pool, username, sms=False, totp=False)
    asked = pool.sign_in(username)
    assert asked["ChallengeName"] == "SELECT_MFA_TYPE"
    choices = json.loads(asked["ChallengeParameters"]["MFAS_CAN_CHOOSE"])
    assert sorted(choices) == ["SMS_MFA", "SOFTWARE_TOKEN_MFA"]
    assert pool.cloud.texts_to(number) == []
    session = asked["Session"]
    none = refusal(lambda: pool.respond("SELECT_MFA_TYPE", session, USERNAME=username, ANSWER="EMAIL_OTP"))
    assert none[0] == "InvalidParameterException"
    asked = pool.respond("SELECT_MFA_TYPE", session, USERNAME=username, ANSWER="SMS_MFA")
    assert asked["ChallengeName"] == "SMS_MFA"
    assert "AuthenticationResult" in answer_text(pool, username, asked["Session"], texted_code(pool, number))
    session = pool.sign_in(username)["Session"]
    asked = pool.respond("SELECT_MFA_TYPE", session, USERNAME=username, ANSWER="SOFTWARE_TOKEN_MFA")
    assert "AuthenticationResult" in answer_totp(pool, username, asked["Session"], totp(secret, steps=1))


@pytest.mark.parametrize(("preferred", "challenge"), [("sms", "SMS_MFA"), ("totp", "SOFTWARE_TOKEN_MFA")])
def test_preferred_factor_is_asked_for(pool: Pool, preferred: str, challenge: str) -> None:
    username, _number = add_with_number(pool)
    enrol(pool, username)
    prefer(pool, username, sms=preferred == "sms", totp=preferred == "totp")
    assert pool.sign_in(username)["ChallengeName"] == challenge
    user = pool.cognito.admin_get_user(UserPoolId=pool.pool_id, Username=username)
    assert sorted(user["UserMFASettingList"]) == ["SMS_MFA", "SOFTWARE_TOKEN_MFA"]
    assert user["PreferredMfaSetting"] == challenge


def test_operator_takes_the_factors_away_and_nothing_else(pool: Pool) -> None:
    username, number = add_with_number(pool)
    enrol(pool, username)
    prefer(pool, username, sms=True, totp=False)
    before = pool.attributes(username)
    prefer(pool, username, sms=None, totp=None)
    result = pool.sign_in(username)["AuthenticationResult"]
    user = pool.cognito.get_user(AccessToken=result["AccessToken"])
    assert not {"UserMFASettingList", "PreferredMfaSetting"} & user.keys()
    assert pool.attributes(username) == before
    assert before["phone_number"] == number


# --- What a pool asks for --------------------------------------------------------------------------------------------


def test_pool_that_requires_a_factor_texts_whoever_has_a_number(cloud: RunningCloud) -> None:
    pool = pool_with(cloud, "ON")
    username, number = add_with_number(pool, verified=False)
    asked = pool.sign_in(username)
    assert asked["ChallengeName"] == "SMS_MFA"
    answer_text(pool, username, asked["Session"], texted_code(pool, number))
    assert pool.attributes(username)["phone_number_verified"] == "true"


@pytest.mark.parametrize(
    ("offered", "listed"),
    [({"sms": False}, ["SOFTWARE_TOKEN_MFA"]), ({}, ["SMS_MFA", "SOFTWARE_TOKEN_MFA"])],
)
def test_pool_that_requires_a_factor_has_the_rest_set_one_up(
    cloud: RunningCloud, offered: dict[str, bool], listed: list[str]
) -> None:
    pool = pool_with(cloud, "ON", **offered)
    username = pool.add_confirmed()
    asked = pool.sign_in(username)
    assert asked["ChallengeName"] == "MFA_SETUP"
    assert sorted(json.loads(asked["ChallengeParameters"]["MFAS_CAN_SETUP"])) == listed
    associated = pool.cognito.associate_software_token(Session=asked["Session"])
    code = totp(associated["SecretCode"])
    verified = pool.cognito.verify_software_token(Session=associated["Session"], UserCode=code)
    assert "AuthenticationResult" in pool.respond("MFA_SETUP", verified["Session"], USERNAME=username)
    assert pool.sign_in(username)["ChallengeName"] == "SOFTWARE_TOKEN_MFA"


def test_pool_that_is_off_asks_for_nothing(cloud: RunningCloud) -> None:
    pool = pool_with(cloud, "OPTIONAL")
    username, _number = add_with_number(pool)
    prefer(pool, username, sms=True)
    pool.cognito.set_user_pool_mfa_config(UserPoolId=pool.pool_id, MfaConfiguration="OFF")
    assert "AuthenticationResult" in pool.sign_in(username)


def test_pool_must_offer_a_factor_to_ask_for_one(cloud: RunningCloud) -> None:
    pool = Pool(cloud)
    call = pool.cognito.set_user_pool_mfa_config
    assert refusal(lambda: call(UserPoolId=pool.pool_id, MfaConfiguration="ON"))[0] == "InvalidParameterException"


def test_factor_that_the_pool_does_not_offer_is_refused(cloud: RunningCloud) -> None:
    pool = pool_with(cloud, "OPTIONAL", sms=False)
    username, _number = add_with_number(pool)
    assert refusal(lambda: prefer(pool, username, sms=True))[0] == "InvalidParameterException"


def test_template_switches_texts_on_and_off(cloud: RunningCloud, name: str) -> None:
    formation, cognito = cloud.client("cloudformation"), cloud.client("cognito-idp")

    def template(*factors: str) -> str:
        properties = {
            "MfaConfiguration": "OPTIONAL",
            "EnabledMfas": list(factors),
            "SmsConfiguration": SMS_CONFIGURATION,
            "SmsAuthenticationMessage": "Portico: {####}",
        }
        pool = {"Type": "AWS::Cognito::UserPool", "Properties": properties}
        return json.dumps({"Resources": {"Pool": pool}, "Outputs": {"Pool": {"Value": {"Ref": "Pool"}}}})

    def pool_id(status: str) -> str:
        def done() -> Any:
            stack = formation.describe_stacks(StackName=name)["Stacks"][0]
            return stack if stack["StackStatus"] == status else None

        value: str = wait_until(done)["Outputs"][0]["OutputValue"]
        return value

    formation.create_stack(StackName=name, TemplateBody=template("SMS_MFA", "SOFTWARE_TOKEN_MFA"))
    pool = pool_id("CREATE_COMPLETE")
    config = cognito.get_user_pool_mfa_config(UserPoolId=pool)
    assert config["SmsMfaConfiguration"]["SmsAuthenticationMessage"] == "Portico: {####}"
    assert config["SoftwareTokenMfaConfiguration"] == {"Enabled": True}
    assert config["MfaConfiguration"] == "OPTIONAL"
    formation.update_stack(StackName=name, TemplateBody=template("SOFTWARE_TOKEN_MFA"))
    assert "SmsMfaConfiguration" not in cognito.get_user_pool_mfa_config(UserPoolId=pool_id("UPDATE_COMPLETE"))


# --- Telephone numbers -----------------------------------------------------------------------------------------------


def update_number(pool: Pool, token: str, number: str) -> Any:
    return pool.cognito.update_user_attributes(
        AccessToken=token, UserAttributes=[{"Name": "phone_number", "Value": number}]
    )


def test_number_is_verified_by_the_code_that_was_texted(pool: Pool) -> None:
    username, number = pool.add_confirmed(), f"+1202{next(_numbers)}"
    token = pool.sign_in(username)["AuthenticationResult"]["AccessToken"]
    delivered = update_number(pool, token, number)["CodeDeliveryDetailsList"]
    assert delivered == [{"Destination": masked(number), "DeliveryMedium": "SMS", "AttributeName": "phone_number"}]
    assert pool.attributes(username)["phone_number_verified"] == "false"
    code = texted_code(pool, number)
    verify = pool.cognito.verify_user_attribute
    named = {"AccessToken": token, "AttributeName": "phone_number"}
    assert refusal(lambda: verify(**named, Code=wrong(code)))[0] == "CodeMismatchException"
    verify(**named, Code=code)
    assert pool.attributes(username)["phone_number_verified"] == "true"
    again = pool.cognito.get_user_attribute_verification_code(**named)["CodeDeliveryDetails"]
    assert again["DeliveryMedium"] == "SMS"
    assert len(pool.cloud.texts_to(number)) == 2


def test_number_stays_until_the_new_one_is_verified(cloud: RunningCloud) -> None:
    settings = {
        "AutoVerifiedAttributes": ["email", "phone_number"],
        "UserAttributeUpdateSettings": {"AttributesRequireVerificationBeforeUpdate": ["phone_number"]},
    }
    pool = Pool(cloud, pool_settings=settings)
    (username, old), new = add_with_number(pool), f"+1202{next(_numbers)}"
    token = pool.sign_in(username)["AuthenticationResult"]["AccessToken"]
    update_number(pool, token, new)
    assert pool.attributes(username)["phone_number"] == old
    assert pool.attributes(username)["phone_number_verified"] == "true"
    assert pool.cloud.texts_to(old) == []
    code = texted_code(pool, new)
    pool.cognito.verify_user_attribute(AccessToken=token, AttributeName="phone_number", Code=code)
    assert pool.attributes(username)["phone_number"] == new


@pytest.mark.parametrize("number", ["12025550100", "+0123456789", "+1 202 555 0100", "+12", "tel"])
def test_number_must_be_a_number(pool: Pool, number: str) -> None:
    token = pool.sign_in(pool.add_confirmed())["AuthenticationResult"]["AccessToken"]
    assert refusal(lambda: update_number(pool, token, number))[0] == "InvalidParameterException"


def test_number_that_an_operator_sets_is_not_verified(pool: Pool) -> None:
    username, _number = add_with_number(pool)
    other = [{"Name": "phone_number", "Value": "+12025559999"}]
    pool.cognito.admin_update_user_attributes(UserPoolId=pool.pool_id, Username=username, UserAttributes=other)
    assert pool.attributes(username)["phone_number_verified"] == "false"
