"""Lambda's door to the portal: `portal.lambda_entry.lambda_handler`.

HTTP events go to Django through apig-wsgi and not through Zappa's handler, which sends cookies twice and costs more.
What the JSON API needs is imported here, while Lambda starts the process, and not in the first request; boto3 only
when somebody signs in.
"""

import gc
import os
from typing import Any

gc.disable()  # nothing made while starting is garbage
# pydantic would read the metadata of every package that is installed, to look for plugins.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from apig_wsgi import make_lambda_handler  # noqa: E402
from django.conf import settings  # noqa: E402
from django.urls import get_resolver  # noqa: E402

from portal import aws  # noqa: E402
from portal.wsgi import application  # noqa: E402

get_resolver().url_patterns  # noqa: B018 - imports the views
aws.client("dynamodb")
gc.enable()
gc.freeze()


def _behind_api_gateway(environ: dict[str, Any], start_response: Any) -> Any:
    # API Gateway speaks HTTPS only and always names the host; a test event from the console does neither.
    environ["wsgi.url_scheme"] = environ["HTTP_X_FORWARDED_PROTO"] = "https"
    if "HTTP_HOST" not in environ:
        environ["HTTP_HOST"] = next((host for host in settings.ALLOWED_HOSTS if host[0] not in ".*"), "localhost")
    return application(environ, start_response)


_answer_http = make_lambda_handler(_behind_api_gateway, binary_support=True)


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer an HTTP event of API Gateway (REST or HTTP API). Any other event is refused: nothing sends one."""
    if "httpMethod" in event or event.get("version") == "2.0":
        return _answer_http(event, context)
    raise ValueError("This function answers HTTP events only.")
