"""The pages about approvals. Each address ends in a slash, so that none is a JSON path: those are /approvals/{id}.

What a mail program has cut off a link still leads to the page about links.
"""

from django.urls import path, re_path

from approvals import approval_views, away_views, inbox_views, link_views, request_views

app_name = "approvals"
_ID = r"(?P<approval_id>[0-9a-f]{32})"
urlpatterns = [
    path("", inbox_views.inbox, name="inbox"),
    path("waiting/", inbox_views.waiting, name="waiting"),
    path("decide/", inbox_views.decide_many, name="decide-many"),
    path("decided/", inbox_views.decided, name="decided"),
    path("requests/", request_views.mine, name="requests"),
    path("new/", request_views.types, name="types"),
    path("new/<slug:type_id>/", request_views.new, name="new"),
    path("away/", away_views.away, name="away"),
    path("back/", away_views.back, name="back"),
    path("link/", link_views.link, {"secret": ""}),
    path("link/<str:secret>/", link_views.link, name="link"),
    path("link/<str:secret>/<str:choice>/", link_views.link, name="link"),
    re_path(rf"^{_ID}/$", approval_views.approval, name="approval"),
    re_path(rf"^{_ID}/progress/$", approval_views.progress, name="progress"),
    re_path(rf"^{_ID}/decide/$", approval_views.decide, name="decide"),
    re_path(rf"^{_ID}/comment/$", approval_views.comment, name="comment"),
    re_path(rf"^{_ID}/withdraw/$", request_views.withdraw, name="withdraw"),
    re_path(rf"^{_ID}/resend/$", request_views.resend, name="resend"),
    re_path(rf"^{_ID}/fresh-link/$", link_views.fresh_link, name="fresh-link"),
]
