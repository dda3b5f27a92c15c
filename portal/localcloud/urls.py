"""The page about the local cloud. On AWS none of this exists."""

from django.urls import path

from portal.localcloud import views

app_name = "local"
urlpatterns = [
    path("", views.home, name="home"),
    path("sent/", views.sent, name="sent"),
    path("partner/", views.partner_system, name="partner"),
    path("partner/keys/", views.partner_keys, name="partner-keys"),
]
