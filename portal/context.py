"""What every template may use."""

from django.conf import settings
from django.http import HttpRequest

from portal.middleware import reference


def portal(request: HttpRequest) -> dict[str, object]:
    return {
        "local_cloud": bool(settings.LOCAL_CLOUD),
        "map_tiles_url": settings.MAP_TILES_URL,
        "map_attribution": settings.MAP_ATTRIBUTION,
        "reference": reference.get(),
    }
