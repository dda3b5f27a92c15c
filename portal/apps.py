"""The portal as an app, and Django's admin with our own site in it."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.contrib.staticfiles.apps import StaticFilesConfig


class PortalConfig(AppConfig):
    name = "portal"
    default = True


class PortalAdminConfig(AdminConfig):
    default_site = "portal.dynamo.site.PortalAdminSite"
    default = False

    def ready(self) -> None:
        super().ready()
        from django.contrib import admin
        from django.contrib.auth.models import Group

        admin.site.unregister(Group)  # groups are Cognito's


class PortalStaticFilesConfig(StaticFilesConfig):
    default = False
    # htmx's extensions, unused: one mentions a module that is not there, which stops collectstatic.
    ignore_patterns = [*StaticFilesConfig.ignore_patterns, "hx-*.js"]
