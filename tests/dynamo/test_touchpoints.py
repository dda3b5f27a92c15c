"""The private points of Django that the admin without SQL stands on. When one fails, Django has changed: read its new
code before changing the test."""

from __future__ import annotations

import inspect

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.admin import ModelAdmin, actions
from django.contrib.admin.models import LogEntry
from django.contrib.admin.sites import AdminSite
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models.query import QuerySet

from portal.dynamo.queryset import ItemQuerySet
from portal.dynamo.site import _LEFT_OUT
from rides.models import Unicorn


def code(function):
    return inspect.getsource(function)


def test_a_queryset_reads_its_rows_through_fetch_all_into_the_result_cache():
    for method in (QuerySet.__iter__, QuerySet.__len__, QuerySet.__bool__):
        assert "self._fetch_all()" in code(method)
        assert "self._result_cache" in code(method)


# Those that ItemQuerySet inherits: each goes through one that is our own, or through _chain, which refuses.
INHERITED = {
    "alias",
    "annotate",
    "contains",
    "create",
    "dates",
    "datetimes",
    "defer",
    "difference",
    "earliest",
    "extra",
    "first",
    "intersection",
    "last",
    "latest",
    "only",
    "prefetch_related",
    "resolve_expression",
    "select_for_update",
    "select_related",
    "union",
    "values",
}


def test_a_queryset_has_no_public_method_that_nobody_has_looked_at():
    methods = {name for name, _ in inspect.getmembers(QuerySet, inspect.isfunction) if not name.startswith("_")}
    asynchronous = {name for name in methods if name.startswith("a") and name[1:] in methods}
    assert methods - asynchronous - {"aiterator"} - set(vars(ItemQuerySet)) == INHERITED


@pytest.mark.parametrize("name", ["_clone", "_chain", "_fetch_all"])
def test_the_private_methods_of_a_queryset_are_there(name):
    assert callable(getattr(QuerySet, name))
    assert list(inspect.signature(getattr(QuerySet, name)).parameters) == ["self"]


def test_a_model_knows_by_its_state_whether_it_is_stored():
    assert "_state.adding" in code(models.Model._perform_unique_checks)
    assert Unicorn()._state.adding is True


@pytest.mark.parametrize(
    ("public", "private"), [("changeform_view", "_changeform_view"), ("delete_view", "_delete_view")]
)
def test_the_public_views_do_nothing_but_open_a_transaction_around_the_private_ones(public, private):
    body = [line.strip() for line in code(getattr(ModelAdmin, public)).splitlines()]
    call = f"return self.{private}({', '.join(list(inspect.signature(getattr(ModelAdmin, public)).parameters)[1:])})"
    assert body[0] == "@csrf_protect_m"
    assert body[2:] == [
        'if request.method in ("GET", "HEAD", "OPTIONS", "TRACE"):',
        call,
        "",
        "with transaction.atomic(using=router.db_for_write(self.model)):",
        call,
    ]


def test_the_list_opens_a_transaction_only_where_rows_are_saved():
    source = code(ModelAdmin.changelist_view)
    assert source.count("transaction.atomic") == 1
    assert 'request.method == "POST" and cl.list_editable and "_save" in request.POST' in source


def test_what_is_deleted_is_asked_of_our_own_method():
    assert "self.get_deleted_objects(" in code(ModelAdmin._delete_view)
    assert "modeladmin.get_deleted_objects(" in code(actions.delete_selected)
    assert 'request.POST.get("post") and not protected' in code(actions.delete_selected)


def test_content_types_are_found_in_the_cache(monkeypatch):
    monkeypatch.setattr(ContentType.objects, "get", None)
    found = ContentType.objects.get_for_model(Unicorn)
    assert (found.app_label, found.model, found.model_class()) == ("rides", "unicorn", Unicorn)


def test_the_log_of_djangos_is_asked_for_in_one_method_that_is_ours():
    assert "LogEntry" in code(AdminSite.get_log_entries)
    assert admin.site.get_log_entries(None) == []
    with pytest.raises(ImproperlyConfigured):
        list(LogEntry.objects.all())


def test_the_views_that_are_left_out_of_the_site_exist_under_these_names():
    names = {url.name for url in AdminSite().get_urls() if getattr(url, "name", None)}
    assert names >= _LEFT_OUT
    assert names - _LEFT_OUT == {"index", "jsi18n", "app_list"} or names - _LEFT_OUT == {"index", "jsi18n"}


def test_there_is_no_database():
    assert settings.DATABASES in ({}, {"default": settings.DATABASES.get("default")})
    assert "ENGINE" not in settings.DATABASES.get("default", {}) or settings.DATABASES["default"]["ENGINE"].endswith(
        "dummy"
    )


def test_a_missing_object_is_answered_in_one_place():
    for method in (ModelAdmin._changeform_view, ModelAdmin._delete_view):
        assert "return self._get_obj_does_not_exist_redirect(" in code(method)
