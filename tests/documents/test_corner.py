"""Whose objects are whose: IAM says so, whatever a view does."""

from __future__ import annotations

import uuid

import pytest
from botocore.exceptions import ClientError
from django.conf import settings
from django.test import RequestFactory

from documents import bucket, history
from documents.bucket import Changed, DocumentMissing
from documents.corner import Corner
from portal import aws
from portal.accounts import credentials, identity_pool, session, tokens
from portal.accounts.models import User
from portal.accounts.refusals import SignedOut


def refused(call, **parameters):
    with pytest.raises(ClientError) as error:
        call(Bucket=settings.DOCUMENTS_BUCKET, **parameters)
    return aws.error_code(error.value) in ("AccessDenied", "403")


def asking(person):
    request = RequestFactory().get("/")
    request.session = {}
    request.user = User.from_claims(tokens.verify(person.id_token))
    session.bring(request, person.id_token)
    return request


# --- One person's credentials and another's corner --------------------------------------------------------------------


def test_nobody_reads_lists_overwrites_deletes_or_guesses_what_is_another_persons(someone):
    mine, theirs = someone(), someone()
    version = theirs.put("plan.md", b"secret")["VersionId"]
    theirs.put("plan.md", b"secret 2")
    key = theirs.key("plan.md")
    for path in ("plan.md", "none.md", "../plan.md"):
        # What is there and what is not are answered alike.
        assert refused(mine.s3.get_object, Key=theirs.key(path))
        assert refused(mine.s3.head_object, Key=theirs.key(path))
    assert refused(mine.s3.get_object, Key=key, VersionId=version)
    assert refused(mine.s3.put_object, Key=key, Body=b"mine")
    assert refused(mine.s3.delete_object, Key=key)
    assert refused(mine.s3.delete_object, Key=key, VersionId=version)
    assert refused(mine.s3.list_objects_v2, Prefix=theirs.key(""))
    assert refused(mine.s3.list_object_versions, Prefix=theirs.key(""))
    for prefix in ("", "ugc/", f"ugc/{mine.identity_id}", "ugc/*", "taken-down/"):
        assert refused(mine.s3.list_objects_v2, Prefix=prefix)
        assert refused(mine.s3.list_object_versions, Prefix=prefix)
    assert refused(
        mine.s3.copy_object, Key=mine.key("stolen.md"), CopySource={"Bucket": settings.DOCUMENTS_BUCKET, "Key": key}
    )
    assert refused(mine.s3.copy_object, Key=key, CopySource={"Bucket": settings.DOCUMENTS_BUCKET, "Key": mine.key("x")})
    assert refused(mine.s3.create_multipart_upload, Key=key)
    assert theirs.get("plan.md") == b"secret 2"


def test_everybody_has_their_own_versions_and_cannot_lose_them(someone):
    mine = someone()
    version = mine.put("plan.md", b"one")["VersionId"]
    mine.put("plan.md", b"two")
    listed = mine.s3.list_object_versions(Bucket=settings.DOCUMENTS_BUCKET, Prefix=mine.key("plan.md"))["Versions"]
    assert len(listed) == 2
    old = mine.s3.get_object(Bucket=settings.DOCUMENTS_BUCKET, Key=mine.key("plan.md"), VersionId=version)
    assert old["Body"].read() == b"one"
    # Not even the owner's credentials destroy a version: whoever steals them can delete nothing for good.
    assert refused(mine.s3.delete_object, Key=mine.key("plan.md"), VersionId=version)


def test_a_link_to_ones_own_object_opens_no_other(someone):
    mine, theirs = someone(), someone()
    theirs.put("plan.md", b"secret")
    corner = Corner(theirs.identity_id, lambda: mine.s3)
    # The view's own code, with one person's credentials and another's identity.
    with pytest.raises(DocumentMissing):
        bucket.read(corner, "plan")
    with pytest.raises(ClientError, match="AccessDenied"):
        bucket.create(corner, "plan2", b"x")
    with pytest.raises(DocumentMissing):
        bucket.versions(corner, "plan")
    assert theirs.paths() == {"plan.md"}


def test_the_index_is_read_by_its_owner_alone(author, outsider, corner_of, catch_up):
    mine = corner_of(author)
    mine.put("plan.md", b"# Plan")
    catch_up()
    request = asking(outsider)
    assert history.find(request, "plan") is None
    client = credentials.client(request, "dynamodb")
    owner = {":owner": {"S": mine.identity_id}}
    for index in ({}, {"IndexName": "ByModified"}, {"IndexName": "ByRemoved"}):
        with pytest.raises(ClientError, match="AccessDenied"):
            client.query(
                TableName=settings.TABLES["documents"],
                KeyConditionExpression="IdentityId = :owner",
                ExpressionAttributeValues=owner,
                **index,
            )
    with pytest.raises(ClientError, match="AccessDenied"):
        client.scan(TableName=settings.TABLES["documents"])
    for write in (client.put_item, client.delete_item):
        thing = {"IdentityId": {"S": identity_pool.identity_id(outsider.id_token)}, "DocumentId": {"S": "x"}}
        with pytest.raises(ClientError, match="AccessDenied"):
            write(TableName=settings.TABLES["documents"], **{"Item" if write == client.put_item else "Key": thing})


def test_the_portals_own_role_writes_into_no_corner(someone):
    mine = someone()
    mine.put("plan.md", b"mine")
    portal = aws.client("s3")
    assert refused(portal.put_object, Key=mine.key("plan.md"), Body=b"x")
    assert refused(portal.delete_object, Key=mine.key("plan.md"))
    assert refused(portal.put_object, Key="anything", Body=b"x")
    assert refused(portal.get_object, Key="anything")


def test_work_in_the_background_is_done_with_the_owners_own_credentials(someone, author, cloud):
    identity_id = identity_pool.identity_id(author.id_token)
    request = asking(author)
    assert credentials.identity_id(request) == identity_id
    user = credentials.developer_user(request)
    client = credentials.client_for(identity_id, "s3", sub=author.sub, developer_user=user)
    others = someone()
    client.put_object(Bucket=settings.DOCUMENTS_BUCKET, Key=f"ugc/{identity_id}/by-work.md", Body=b"x")
    assert refused(client.put_object, Key=others.key("plan.md"), Body=b"x")
    # It is the same identity as ever, and the next time as well.
    assert identity_pool.identity_id(author.id_token) == identity_id
    credentials.client_for(identity_id, "s3", sub=author.sub)


def test_nobody_is_vouched_for_under_a_name_that_does_not_lead_to_them_yet(cloud, rider):
    name = f"vouched:{uuid.uuid4()}"
    identity_id, _ = identity_pool.vouch(name, sub=name)
    with pytest.raises(SignedOut):
        credentials.client_for(identity_id, "s3", sub=rider.sub)
    assert credentials.client_for(identity_id, "s3", sub=name)


def test_the_bucket_is_private(cloud):
    s3, name = cloud.admin("s3"), settings.DOCUMENTS_BUCKET
    blocked = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    assert all(blocked.values())
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"


# --- Writing ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def corner(someone):
    mine = someone()
    return Corner(mine.identity_id, lambda: mine.s3)


def test_a_save_from_something_else_changes_nothing(corner):
    first = bucket.create(corner, "plan", b"one")
    second = bucket.save(corner, "plan", b"two", was=first.e_tag)
    with pytest.raises(Changed):
        bucket.save(corner, "plan", b"three", was=first.e_tag)
    with pytest.raises(Changed):
        bucket.create(corner, "plan", b"three")
    assert bucket.read(corner, "plan")[0] == b"two"
    assert bucket.read(corner, "plan")[1].e_tag == second.e_tag
    assert bucket.read(corner, "plan", version_id=first.version_id)[0] == b"one"
    with pytest.raises(DocumentMissing):
        bucket.save(corner, "none", b"x", was=first.e_tag)


@pytest.mark.parametrize("first", [True, False])
def test_a_reply_that_is_lost_is_no_conflict(corner, cloud, first):
    was = None if first else bucket.create(corner, "plan", b"one")
    cloud.faults.add(service="s3", action="PutObject", kind="lost_reply", times=1)
    stored = (
        bucket.create(corner, "plan", b"two") if was is None else bucket.save(corner, "plan", b"two", was=was.e_tag)
    )
    assert bucket.read(corner, "plan")[0] == b"two"
    assert bucket.read(corner, "plan")[1].e_tag == stored.e_tag


def test_throttling_is_tried_again_and_an_outage_is_told(corner, cloud):
    stored = bucket.create(corner, "plan", b"one")
    cloud.faults.add(service="s3", action="PutObject", kind="throttle", times=1)
    stored = bucket.save(corner, "plan", b"two", was=stored.e_tag)
    cloud.faults.add(service="s3", action="PutObject", kind="error")
    with pytest.raises(ClientError) as error:
        bucket.save(corner, "plan", b"three", was=stored.e_tag)
    assert aws.is_transient(error.value)
    cloud.faults.clear()
    assert bucket.read(corner, "plan")[0] == b"two"


def test_links_have_the_name_and_the_time(corner):
    bucket.create(corner, "plan", b"one")
    url = bucket.download_url(corner, "plan", "source", name='Pl\u00e4n "1".md')
    assert "X-Amz-Expires=300" in url
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
    assert "X-Amz-Security-Token" in url
