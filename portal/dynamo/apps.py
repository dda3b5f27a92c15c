from django.apps import AppConfig


class DynamoConfig(AppConfig):
    name = "portal.dynamo"
    label = "dynamo"
    verbose_name = "What happened"

    def ready(self) -> None:
        from portal.dynamo import audit_admin  # noqa: F401 - registers itself
