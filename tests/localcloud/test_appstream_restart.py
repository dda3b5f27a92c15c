"""Contract of appstream_records.py: what survives a stop and a kill, and what is never written down."""

import signal
from pathlib import Path

import pytest

from tests.localcloud.appstream import CONTROL, Streams, fetch
from tests.localcloud.running_cloud import Start, wait_until
from tests.visitor import Visitor


@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGKILL])
def test_everything_survives(start: Start, tmp_path: Path, signal_: int) -> None:
    streams = Streams(start(tmp_path, CLOUD_SAVE_SECONDS="0.1"), "kept")
    streams.make(MaxUserDurationInSeconds=600, Tags={"a": "b"})
    streams.make_fleet("slow")
    streams.control(fleet_start_seconds=1000)
    streams.api.start_fleet(Name="slow")
    streams.control(elapse_seconds=100)
    used, unused = streams.url(), streams.url(Validity=3600, ApplicationId="Editor")
    visitor = Visitor()
    page = visitor.get(used)
    secrets = [used.rpartition("=")[2], unused.rpartition("=")[2], page.forms[0].fields["page"]]
    (session,) = streams.sessions()
    if signal_ == signal.SIGKILL:
        wait_until(lambda: not streams.cloud.control("GET", "/_portico/health")["unsaved_writes"])
        streams.cloud.control("POST", "/_portico/save")
    streams.cloud.stop(signal_)
    on_disk = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert session["Id"].encode() in on_disk
    assert not [one for one in secrets if one.encode() in on_disk]
    assert not [line for line in streams.cloud.log if any(one in line for one in secrets)]

    port = streams.cloud.port
    streams = Streams(start(tmp_path), "kept")
    assert streams.sessions() == [session]
    assert streams.fleet()["State"] == "RUNNING"
    assert streams.api.list_tags_for_resource(ResourceArn=streams.arn("fleet"))["Tags"] == {"a": "b"}
    assert streams.api.list_associated_stacks(FleetName="kept")["Names"] == ["kept"]
    assert streams.fleet("slow")["State"] == "STARTING"
    streams.control(elapse_seconds=890)
    assert streams.fleet("slow")["State"] == "STARTING"
    streams.control(elapse_seconds=20)
    assert streams.fleet("slow")["State"] == "RUNNING"
    assert streams.sessions() == []
    here = f":{streams.cloud.port}/"
    assert fetch(used.replace(f":{port}/", here)).status == 403
    assert "Streaming · Editor" in Visitor().get(unused.replace(f":{port}/", here)).text
    assert streams.cloud.control("GET", CONTROL)["fleet_start_seconds"] == 1000


def test_reset_forgets_everything(start: Start, tmp_path: Path) -> None:
    streams = Streams(start(tmp_path), "gone")
    streams.make()
    streams.cloud.control("POST", "/_ministack/reset")
    assert streams.api.describe_fleets()["Fleets"] == streams.api.describe_stacks()["Stacks"] == []
