"""What the user pool refuses for a reason that a person can act on, each with the sentence they read."""

from __future__ import annotations


class Refused(Exception):
    """Cognito said no. `about` is the form field it is about; str() is the sentence for the person, `reason` what the
    log says."""

    about = ""
    sentence = "That did not work."

    def __init__(self, reason: str = "") -> None:
        super().__init__(self.sentence.format(reason=reason))
        self.reason = reason


class WrongPassword(Refused):
    # The same words whether the name is unknown, the password wrong or the user disabled.
    sentence = "That user name and password do not belong together."


class WrongCurrentPassword(Refused):
    about = "password"
    sentence = "That is not your current password."


class CodeMismatch(Refused):
    about = "code"
    sentence = "That is not the code."


class CodeExpired(Refused):
    about = "code"
    sentence = "That code has expired or was used already. Use a new one."


class PasswordRefused(Refused):
    about = "new_password"
    sentence = "{reason}"


class UsernameTaken(Refused):
    about = "username"
    sentence = "That user name is taken."


class UsernameRefused(Refused):
    about = "username"
    sentence = "A user name cannot look like an e-mail address."


class EmailRefused(Refused):
    about = "email"
    sentence = "No mail can be sent to that address."


class EmailTaken(Refused):
    sentence = "Another account has this e-mail address already. Sign in with it, or sign up with another address."


class InputRefused(Refused):
    sentence = "That was not accepted: {reason}"


class TooManyAttempts(Refused):
    sentence = "Too many attempts. Wait a few minutes, then try again."


class UserNotConfirmed(Refused):
    sentence = "Confirm your e-mail address first."


class PasswordResetRequired(Refused):
    sentence = "Your password has to be set anew. The code for it is in your mail."


class ChallengeExpired(Refused):
    sentence = "That took too long. Sign in again."


class PhoneRefused(Refused):
    about = "phone_number"
    sentence = "No text message can be sent to that number."


class LastFactor(Refused):
    sentence = "Everybody here needs a second factor, and this is the only one you have. Turn another one on first."


class NoFactorToSetUp(Refused):
    sentence = (
        "Your account needs a second factor that cannot be set up here. Ask an operator to add your phone number."
    )


class UnknownChallenge(Refused):
    sentence = "Your account asks for a second factor that Portico does not know ({reason}). Ask an operator."


class SignedOut(Refused):
    sentence = "You have been signed out. Sign in again."


class IdentityInUse(Refused):
    sentence = "That way of signing in has its own corner in AWS already, which cannot be joined with this one."


class AssertionRefused(Refused):
    sentence = "Your company's word for you was not accepted. Start again at its sign-in page."


class VoucherRefused(Refused):
    sentence = "The other system's word for you was not accepted. Start again there."


class AccountClosed(SignedOut):
    sentence = "The account that this way in leads to is closed. Ask an operator."


class AccountGone(AccountClosed):
    """There is no such account any more."""


class ArrivalExpired(Refused):
    sentence = "That took too long, or was used already. Start again."


BY_ERROR: dict[str, type[Refused]] = {
    "AliasExistsException": EmailTaken,
    "CodeDeliveryFailureException": EmailRefused,
    "CodeMismatchException": CodeMismatch,
    "EnableSoftwareTokenMFAException": CodeMismatch,
    "ExpiredCodeException": CodeExpired,
    "InvalidPasswordException": PasswordRefused,
    "LimitExceededException": TooManyAttempts,
    "PasswordHistoryPolicyViolationException": PasswordRefused,
    "PasswordResetRequiredException": PasswordResetRequired,
    "TooManyFailedAttemptsException": TooManyAttempts,
    "UserNotConfirmedException": UserNotConfirmed,
    "UsernameExistsException": UsernameTaken,
}
