"""The pages about streaming applications. What is about one of them is below its id, so that no id is in the way."""

from django.urls import path

from portal.streaming import picture_views, views, window_views

app_name = "streaming"
urlpatterns = [
    path("", views.apps, name="apps"),
    path("<str:application_id>/", views.application, name="application"),
    path("<str:application_id>/launch/", views.launch, name="launch"),
    path("<str:application_id>/end/", views.end, name="end"),
    path("<str:application_id>/window/", window_views.window, name="window"),
    path("<str:application_id>/standing/", window_views.standing, name="standing"),
    path("<str:application_id>/picture/", picture_views.picture, name="picture"),
]
