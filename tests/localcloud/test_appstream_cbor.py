"""Contract of appstream_cbor.py: CBOR as boto3 writes and reads it."""

import contextlib
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.parsers import RpcV2CBORParser
from hypothesis import given
from hypothesis import strategies as st

from portal.localcloud.standins.appstream_cbor import CborMalformed, decode, encode, in_cbor
from portal.localcloud.standins.faults import Reply

SCALARS = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text() | st.binary()


def nested(scalars: Any) -> Any:
    return st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5)
    )


@given(nested(SCALARS | st.none()))
def test_what_is_written_is_read_again(value: Any) -> None:
    assert decode(encode(value)) == value


@given(nested(SCALARS))
def test_boto3_reads_what_is_written(value: Any) -> None:
    assert RpcV2CBORParser().parse_data_item(io.BufferedReader(io.BytesIO(encode(value)))) == value


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_time_is_seconds_since_1970(moment: datetime) -> None:
    read = decode(encode(moment))
    assert abs(datetime.fromtimestamp(read, UTC) - moment) <= timedelta(microseconds=1)
    assert encode(moment)[0] == 0xC1


@pytest.mark.parametrize(
    ("content", "value"),
    [
        # The examples of RFC 8949, appendix A.
        ("00", 0), ("17", 23), ("1818", 24), ("1903e8", 1000), ("1a000f4240", 1_000_000),
        ("1b000000e8d4a51000", 1_000_000_000_000), ("20", -1), ("3863", -100), ("f93e00", 1.5),
        ("fa47c35000", 100_000.0), ("fb3ff199999999999a", 1.1), ("f4", False), ("f5", True), ("f6", None), ("f7", None),
        ("c11a514b67b0", 1363896240), ("4401020304", b"\1\2\3\4"), ("6161", "a"), ("63e6b0b4", "水"), ("80", []),
        ("83010203", [1, 2, 3]), ("a26161016162820203", {"a": 1, "b": [2, 3]}),
        ("5f42010243030405ff", b"\1\2\3\4\5"), ("7f657374726561646d696e67ff", "streaming"),
        ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]), ("bf6161f56162f4ff", {"a": True, "b": False}),
    ],
)  # fmt: skip
def test_reads_all_that_a_client_may_send(content: str, value: Any) -> None:
    assert decode(bytes.fromhex(content)) == value


@pytest.mark.parametrize(
    "content",
    ["", "18", "1c", "61", "61ff", "a101", "a1", "0000", "ff", "9f", "1f", "df", "f8ff", "5f6161ff", "7f4101ff"],
)
def test_refuses_what_is_no_cbor(content: str) -> None:
    with pytest.raises(CborMalformed):
        decode(bytes.fromhex(content))


@pytest.mark.parametrize("opening", [b"\x81", b"\x9f", b"\xa1\x61a", b"\xc1"])
def test_refuses_what_is_nested_without_end(opening: bytes) -> None:
    with pytest.raises(CborMalformed):
        decode(opening * 5000)


@given(st.binary(max_size=60))
def test_no_bytes_do_anything_else(content: bytes) -> None:
    with contextlib.suppress(CborMalformed):
        decode(content)


def test_refuses_to_write_a_number_that_no_client_reads() -> None:
    with pytest.raises(CborMalformed):
        encode(2**64)


def test_json_reply_becomes_one_in_cbor() -> None:
    body = {"__type": "ThrottlingException", "message": "Rate exceeded"}
    reply = in_cbor(Reply(400, {"Content-Type": "application/json", "x-own": "1"}, json.dumps(body).encode()))
    assert (reply.status, decode(reply.body)) == (400, body)
    assert reply.headers == {"x-own": "1", "Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
