"""Every address of the portal."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from portal import views
from portal.api import api

urlpatterns = [
    path("", views.home, name="home"),
    path("", include("portal.accounts.urls")),
    path("rides/", include("rides.urls")),
    path("documents/", include("documents.urls")),
    path("approvals/", include("approvals.urls")),
    path("apps/", include("portal.streaming.urls")),
    # The admin's own sign-in would ask for a password that only Cognito knows.
    path("admin/login/", RedirectView.as_view(pattern_name="accounts:sign-in", query_string=True)),
    path("admin/", admin.site.urls),
    path("", api.urls),
    re_path(r"^api(/docs)?/?$", RedirectView.as_view(url="/api/docs")),
]
if settings.LOCAL_CLOUD:
    urlpatterns.append(path("local/", include("portal.localcloud.urls")))

handler400 = "portal.errors.bad_request"
handler403 = "portal.errors.permission_denied"
handler404 = "portal.errors.not_found"
handler500 = "portal.errors.server_error"
