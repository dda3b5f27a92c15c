"""Placeholders, so that a test that needs no cloud runs without one; the `cloud` fixture fills them in.

A plugin and not a conftest, because pytest-django reads the settings before any conftest is loaded.
"""

import os

_TABLES = (
    "RIDES",
    "FLEET",
    "IDEMPOTENCY",
    "SESSIONS",
    "PEOPLE",
    "DOCUMENTS",
    "RENDERS",
    "AUDIT",
    "TAG_POLICIES",
    "POLICY_RUNS",
    "POLICY_FINDINGS",
    "APPROVALS",
    "APPROVAL_ASSIGNMENTS",
    "APPROVAL_LINKS",
    "REQUEST_TYPES",
    "ABSENCES",
    "STREAMING_APPLICATIONS",
    "STREAMING_PICTURES",
    "STREAMING_LAUNCHES",
)
_QUEUES = (
    "POLICY_RUNS",
    "LAUNCHES",
    "DOCUMENT_EVENTS",
    "RENDERS",
    "APPROVALS",
    "APPROVAL_MAILS",
    "APPROVAL_ANSWERS",
    "EXECUTIONS",
    "DEAD_LETTER",
)

for name in [name for name in os.environ if name.startswith(("AWS_", "PORTICO_"))]:
    del os.environ[name]

os.environ.update(
    {
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        # Port 9 is the discard service: whoever calls the cloud without the fixture is refused at once.
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "PORTICO_LOCAL_CLOUD": "http://127.0.0.1:9",
        "PORTICO_SECRET_KEY": "only-for-tests-" + "x" * 40,
        "PORTICO_USER_POOL_ID": "eu-west-1_Tests0000",
        "PORTICO_PORTAL_CLIENT_ID": "portalclient",
        "PORTICO_API_CLIENT_ID": "apiclient",
        **{f"PORTICO_{name}_TABLE": name.lower() for name in _TABLES},
        "PORTICO_DOCUMENTS_BUCKET": "documents",
        **{f"PORTICO_{name}_QUEUE_URL": f"http://127.0.0.1:9/123456789012/{name.lower()}" for name in _QUEUES},
        "PORTICO_POLICY_REPORTS_TOPIC_ARN": "arn:aws:sns:eu-west-1:123456789012:reports",
        "PORTICO_PROMOTION_STATE_MACHINE_ARN": "arn:aws:states:eu-west-1:123456789012:stateMachine:promotion",
        "PORTICO_MANUAL_PROMOTION_STATE_MACHINE_ARN": "arn:aws:states:eu-west-1:123456789012:stateMachine:by-activity",
        "PORTICO_MANUAL_STEP_ARN": "arn:aws:states:eu-west-1:123456789012:activity:ManualStep",
        "PORTICO_STREAMING_STACK": "apps",
        "PORTICO_STREAMING_FLEET": "apps",
        "PORTICO_MAIL_FROM": "portico@example.com",
        "PORTICO_IDENTITY_POOL_ID": "eu-west-1:00000000-0000-4000-8000-000000000000",
        "PORTICO_PERSON_ROLE_ARN": "arn:aws:iam::123456789012:role/person",
        "PORTICO_PEOPLE_ROLE_ARNS": "arn:aws:iam::123456789012:role/person",
        "PORTICO_HOSTED_UI_URL": "http://127.0.0.1:9",
    }
)
