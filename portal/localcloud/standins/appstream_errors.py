"""What a call of AppStream is refused with, by name."""


class Refused(Exception):
    """AppStream refuses a call, with an error of this name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def not_found(kind: str, name: str) -> Refused:
    return Refused("ResourceNotFoundException", f"The {kind} {name} was not found")


def exists(kind: str, name: str) -> Refused:
    return Refused("ResourceAlreadyExistsException", f"The {kind} {name} already exists")


def in_use(message: str) -> Refused:
    return Refused("ResourceInUseException", message)


def limit_exceeded(message: str) -> Refused:
    return Refused("LimitExceededException", message)


def not_permitted(message: str) -> Refused:
    return Refused("OperationNotPermittedException", message)


def not_available(message: str) -> Refused:
    return Refused("ResourceNotAvailableException", message)


def combination(message: str) -> Refused:
    return Refused("InvalidParameterCombinationException", message)


def invalid(message: str) -> Refused:
    return Refused("ValidationException", message)


def malformed(message: str) -> Refused:
    return Refused("SerializationException", message)
