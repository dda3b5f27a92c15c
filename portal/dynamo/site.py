"""The portal's admin site: no SQL, no sign-in of its own, and only to those who may do something in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from portal.dynamo import audit

# Views of Django's that ask its database or for a password that only Cognito knows.
_LEFT_OUT = {"login", "logout", "password_change", "password_change_done", "autocomplete", "view_on_site"}


class PortalAdminSite(AdminSite):
    site_title = "Portico"
    site_header = "Portico"
    index_title = "Administration"
    enable_nav_sidebar = False

    def get_urls(self) -> list[Any]:
        return [one for one in super().get_urls() if getattr(one, "name", None) not in _LEFT_OUT]

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        """Let a stranger sign in; refuse someone signed in who may do nothing here."""
        inner = super().admin_view(view, cacheable)

        def outer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if self.has_permission(request):
                return cast(HttpResponse, inner(request, *args, **kwargs))
            if request.user.is_authenticated:
                raise PermissionDenied
            return redirect_to_login(request.get_full_path(), str(settings.LOGIN_URL))

        return outer

    def get_log_entries(self, request: HttpRequest) -> Any:
        # Django's would ask the database. The index shows the audit log instead.
        return []

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Add to each model what its admin wants reached from the index besides its list."""
        found = super().get_app_list(request, app_label)
        for model in (one for app in found for one in app["models"]):
            model["shortcuts"] = getattr(self.get_model_admin(model["model"]), "shortcuts", ())
        return found

    def index(self, request: HttpRequest, extra_context: Any = None) -> TemplateResponse:
        mine = audit.of_actor(cast(audit.Actor, request.user).sub, limit=10).records
        return super().index(request, {"my_entries": mine, **(extra_context or {})})
