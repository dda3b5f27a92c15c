"""The audit log's place in the admin; an entry itself is portal.dynamo.audit.Entry."""

from portal.dynamo.records import Screen


class AuditEntry(Screen):
    class Meta(Screen.Meta):
        verbose_name = "audit entry"
        verbose_name_plural = "audit log"
