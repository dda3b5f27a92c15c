"""Lambda's door to the portal: `portal.lambda_entry.lambda_handler`.

HTTP events go to Django through apig-wsgi and not through Zappa's handler, which sends cookies twice and costs more.
What the JSON API needs is imported here, while Lambda starts the process, and not in the first request; boto3 only
when somebody signs in, and a task's module with the first event for it.
"""

import gc
import logging
import os
from typing import Any

gc.disable()  # nothing made while starting is garbage
# pydantic would read the metadata of every package that is installed, to look for plugins.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from apig_wsgi import make_lambda_handler  # noqa: E402
from django.conf import settings  # noqa: E402
from django.urls import get_resolver  # noqa: E402

from portal import aws, events  # noqa: E402
from portal.middleware import reference  # noqa: E402
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


log = logging.getLogger(__name__)
_answer_http = make_lambda_handler(_behind_api_gateway, binary_support=True)


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any] | None:
    """Answer an HTTP event of API Gateway (REST or HTTP API), or run the function that a queue's or schedule's event is
    for. What that raises is raised, so that the event comes again. Raises events.NotSubscribed for anything else."""
    if "httpMethod" in event or event.get("version") == "2.0":
        answer: dict[str, Any] = _answer_http(event, context)
        return answer
    token = reference.set(getattr(context, "aws_request_id", "") or "-")
    try:
        task = events.task_for(event)
        log.info("%s.%s", task.__module__, task.__name__)
        task(event, context)
    finally:
        reference.reset(token)
    return None
