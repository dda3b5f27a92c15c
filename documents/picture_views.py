"""The pictures in somebody's documents: theirs to see, and to add to."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_POST, require_safe

from documents import bucket, workshop
from documents.asked import own
from documents.rendered import MAX_PICTURE_BYTES, NotAPicture
from portal.accounts.refusals import SignedOut
from portal.api import error

_YEAR = 365 * 24 * 60 * 60
_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


@own
@require_safe
def picture(request: HttpRequest, path: str) -> HttpResponse:
    """Show a picture of one's own corner. `images/` in the address is part of no path: the path is the whole of it."""
    data = bucket.read_picture(bucket.corner(request), path, most_bytes=MAX_PICTURE_BYTES)
    content_type = next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), "")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        content_type = "image/webp"
    if not content_type:
        raise Http404
    answer = HttpResponse(data, content_type=content_type)
    # Those that were uploaded here are named by what is in them.
    is_uploaded = path == bucket.picture_path(data, path.rpartition(".")[2])
    age = f"max-age={_YEAR}, immutable" if is_uploaded else "max-age=60"
    answer["Cache-Control"] = f"private, {age}"
    return answer


@require_POST
def upload(request: HttpRequest) -> HttpResponse:
    """Store the picture that is the body, and say how Markdown shows it. Answers as the JSON API does."""
    if not request.user.is_authenticated:
        return error(401, "Sign in again to upload pictures.")
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_PICTURE_BYTES:
        return error(413, f"A picture has at most {MAX_PICTURE_BYTES // 1_000_000} MB.")
    try:
        checked = workshop.picture(request.read(MAX_PICTURE_BYTES + 1))
        path = bucket.picture_path(checked.data, checked.ending)
        bucket.save_picture(bucket.corner(request), path, checked.data, content_type=checked.content_type)
    except (NotAPicture, workshop.TookTooLong, workshop.TooComplex) as reason:
        return error(422, str(reason))
    except SignedOut:
        return error(401, "Sign in again to upload pictures.")
    size = {"Width": checked.width, "Height": checked.height}
    return JsonResponse({"Path": path, "Markdown": f"![]({path})", **size}, status=201)
