"""The pages about rides."""

from django.urls import path, re_path

from rides import views

app_name = "rides"
urlpatterns = [
    path("", views.home, name="home"),
    path("earlier/", views.earlier, name="earlier"),
    path("near/", views.near, name="near"),
    path("live/", views.live, name="live"),
    re_path(r"^(?P<ride_id>[\w=-]{8,128})/$", views.ride, name="ride"),
    re_path(r"^(?P<ride_id>[\w=-]{8,128})/status/$", views.status, name="status"),
    re_path(r"^(?P<ride_id>[\w=-]{8,128})/cancel/$", views.cancel, name="cancel"),
]
