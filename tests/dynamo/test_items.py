"""Items are read and written as they are: exactly, wholly, and never over what someone else wrote."""

from __future__ import annotations

from decimal import Decimal

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from portal.dynamo import audit
from portal.dynamo.items import value_in
from portal.dynamo.table import Conflict
from portal.dynamo.values import from_item
from rides.models import Unicorn

decimals = st.decimals(-90, 90, allow_nan=False, allow_infinity=False, places=35) | st.decimals(-90, 90, places=6)


def stored(cloud, unicorn_id="angel"):
    return next(one for one in map(from_item, cloud.items("fleet")) if one["UnicornId"] == unicorn_id)


@hypothesis_settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(decimals)
def test_a_decimal_comes_back_unchanged(cloud, fleet, latitude):
    fleet("angel", Latitude=latitude)
    one = Unicorn.objects.get(pk="angel")
    assert one.latitude == latitude
    one.latitude = -latitude
    one.save()
    assert stored(cloud)["Latitude"] == -latitude


def test_one_item_is_got_and_not_scanned_for(cloud, fleet):
    fleet("angel")
    cloud.forget_calls()
    assert Unicorn.objects.get(pk="angel").pk == "angel"
    assert Unicorn.objects.filter(unicorn_id="angel", name="nobody").count() == 0
    assert Unicorn.objects.filter(pk="").exists() is False
    assert cloud.calls() == {("dynamodb", "GetItem"): 1, ("dynamodb", "Scan"): 1}


def test_querysets_of_one_origin_read_the_table_once(cloud, fleet):
    fleet("angel", Name="Angel")
    fleet("gil", Name="Gil")
    cloud.forget_calls()
    everyone = Unicorn.objects.all()
    assert (everyone.count(), everyone.filter(name="Gil").count(), len(everyone.exclude(name="Gil")[:5])) == (2, 1, 1)
    assert everyone.get(pk="gil").name == "Gil"
    assert cloud.calls() == {("dynamodb", "Scan"): 1}


def test_a_manager_cannot_delete_everything():
    assert not hasattr(Unicorn.objects, "delete")


def test_only_what_changed_is_written_and_the_unknown_stays(cloud, fleet):
    fleet("angel", Shoes={"Size": Decimal("4.25")}, Name="Angel")
    before = stored(cloud)
    one = Unicorn.objects.get(pk="angel")
    one.name = "Angela"
    one.save()
    one.color = "Black"
    one.save()
    assert stored(cloud) == before | {"Name": "Angela", "Color": "Black"}


def test_a_value_that_is_emptied_is_taken_away(cloud, fleet):
    fleet("angel", RideId="r")
    one = Unicorn.objects.get(pk="angel")
    one.ride_id = None
    one.save()
    assert "RideId" not in stored(cloud)


@pytest.mark.parametrize("attributes", [{"Name": "Theirs"}, {"RideId": "r"}, {"BusyUntil": 5}])
def test_what_someone_changed_after_the_reading_is_not_overwritten_or_deleted(cloud, fleet, attributes):
    fleet("angel", Name="Angel")
    one = Unicorn.objects.get(pk="angel")
    fleet("angel", **{"Name": "Angel", **attributes})
    before = stored(cloud)
    one.name = "Mine"
    with pytest.raises(Conflict) as conflict:
        one.save()
    assert conflict.value.current == before
    with pytest.raises(Conflict):
        Unicorn.objects.get(pk="angel").from_item(one.item).delete()
    assert stored(cloud) == before


def test_what_someone_deleted_is_not_made_again(cloud, fleet):
    fleet("angel")
    one = Unicorn.objects.get(pk="angel")
    cloud.empty("fleet")
    one.name = "Ghost"
    with pytest.raises(Conflict):
        one.save()
    with pytest.raises(Conflict):
        one.delete()
    assert cloud.items("fleet") == []


def test_a_key_is_taken_once(cloud, fleet):
    fleet("angel", Name="Angel")
    with pytest.raises(Conflict):
        Unicorn(unicorn_id="angel", name="Impostor", latitude=Decimal(1), longitude=Decimal(1)).save()
    assert stored(cloud)["Name"] == "Angel"


def test_an_update_is_written_together_with_another_write_or_not_at_all(cloud, fleet, operator):
    fleet("angel", Name="Angel")
    one = Unicorn.objects.get(pk="angel")
    one.name = "Angela"
    entry = audit.entry("changed", by=operator, object="o", object_name="o")
    audit.entries.add(entry)
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        one.save(together_with=[audit.putting(entry)])
    assert stored(cloud)["Name"] == "Angel"


def test_what_a_field_cannot_read_is_empty_and_stays_until_it_gets_a_value(cloud, fleet):
    fleet("angel", Name="Angel", Speed="as the wind")
    one = Unicorn.objects.get(pk="angel")
    assert one.speed is None
    one.name = "Angela"
    one.save()
    assert stored(cloud)["Speed"] == "as the wind"
    assert value_in({}, Unicorn._meta.get_field("speed")) == 90
