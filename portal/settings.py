"""What differs between a laptop, the tests and AWS is an environment variable; docs/settings.md lists them."""

from pathlib import Path
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# --- Where this runs --------------------------------------------------------------------------------------------------

# The address of the local cloud, or nothing on AWS. Everything that exists on a laptop only hangs on it.
LOCAL_CLOUD = env.str("PORTICO_LOCAL_CLOUD", default="")
DEBUG = env.bool("PORTICO_DEBUG", default=False)
SECRET_KEY = env.str("PORTICO_SECRET_KEY")
ALLOWED_HOSTS = env.list("PORTICO_ALLOWED_HOSTS", default=["127.0.0.1", "localhost"])
AWS_REGION = env.str("AWS_DEFAULT_REGION", default=env.str("AWS_REGION", default="eu-west-1"))

# --- Outputs of infrastructure/portal.yaml ----------------------------------------------------------------------------

USER_POOL_ID = env.str("PORTICO_USER_POOL_ID")
PORTAL_CLIENT_ID = env.str("PORTICO_PORTAL_CLIENT_ID")
API_CLIENT_ID = env.str("PORTICO_API_CLIENT_ID")
TABLES = {
    name: env.str(f"PORTICO_{name.upper()}_TABLE")
    for name in (
        "rides",
        "fleet",
        "idempotency",
        "sessions",
        "people",
        "documents",
        "renders",
        "audit",
        "tag_policies",
        "policy_runs",
        "policy_findings",
        "approvals",
        "approval_assignments",
        "approval_links",
        "request_types",
        "absences",
        "streaming_applications",
        "streaming_pictures",
        "streaming_launches",
    )
}
DOCUMENTS_BUCKET = env.str("PORTICO_DOCUMENTS_BUCKET")
DOCUMENT_EVENTS_QUEUE_URL = env.str("PORTICO_DOCUMENT_EVENTS_QUEUE_URL")
RENDERS_QUEUE_URL = env.str("PORTICO_RENDERS_QUEUE_URL")
POLICY_RUNS_QUEUE_URL = env.str("PORTICO_POLICY_RUNS_QUEUE_URL")
LAUNCHES_QUEUE_URL = env.str("PORTICO_LAUNCHES_QUEUE_URL")
APPROVALS_QUEUE_URL = env.str("PORTICO_APPROVALS_QUEUE_URL")
APPROVAL_MAILS_QUEUE_URL = env.str("PORTICO_APPROVAL_MAILS_QUEUE_URL")
APPROVAL_ANSWERS_QUEUE_URL = env.str("PORTICO_APPROVAL_ANSWERS_QUEUE_URL")
EXECUTIONS_QUEUE_URL = env.str("PORTICO_EXECUTIONS_QUEUE_URL")
PROMOTION_STATE_MACHINE_ARN = env.str("PORTICO_PROMOTION_STATE_MACHINE_ARN")
MANUAL_PROMOTION_STATE_MACHINE_ARN = env.str("PORTICO_MANUAL_PROMOTION_STATE_MACHINE_ARN")
MANUAL_STEP_ARN = env.str("PORTICO_MANUAL_STEP_ARN")
# Other state machines whose executions may wait with the activity.
ACTIVITY_STATE_MACHINE_ARNS = env.list("PORTICO_ACTIVITY_STATE_MACHINE_ARNS", default=[])
DEAD_LETTER_QUEUE_URL = env.str("PORTICO_DEAD_LETTER_QUEUE_URL")
POLICY_REPORTS_TOPIC_ARN = env.str("PORTICO_POLICY_REPORTS_TOPIC_ARN")
MAIL_FROM = env.str("PORTICO_MAIL_FROM")
IDENTITY_POOL_ID = env.str("PORTICO_IDENTITY_POOL_ID")
PERSON_ROLE_ARN = env.str("PORTICO_PERSON_ROLE_ARN")
PEOPLE_ROLE_ARNS = env.list("PORTICO_PEOPLE_ROLE_ARNS")
DEVELOPER_PROVIDER = env.str("PORTICO_DEVELOPER_PROVIDER", default="portico")
HOSTED_UI_URL = env.str("PORTICO_HOSTED_UI_URL")

# --- People -----------------------------------------------------------------------------------------------------------

# The issuer in the tokens, and where its public keys are read: two things, because the local cloud signs as AWS does.
_AWS = "amazonaws.com.cn" if AWS_REGION.startswith("cn-") else "amazonaws.com"
TOKEN_ISSUER = f"https://cognito-idp.{AWS_REGION}.{_AWS}/{USER_POOL_ID}"
JWKS_URL = env.str(
    "PORTICO_JWKS_URL",
    default=f"{LOCAL_CLOUD}/{USER_POOL_ID}/.well-known/jwks.json"
    if LOCAL_CLOUD
    else f"{TOKEN_ISSUER}/.well-known/jwks.json",
)
# What a Cognito group may do in the admin: "all", "view", or a list of permissions such as "rides.change_unicorn".
GROUP_PERMISSIONS = env.json("PORTICO_GROUP_PERMISSIONS", default={"operators": "all", "auditors": "view"})

# --- Doors ------------------------------------------------------------------------------------------------------------

# Every address that is given to another party is made of this one, never of what a request says its host is.
PORTAL_URL = env.str("PORTICO_URL", default="http://127.0.0.1:8000")
# People who come to sign in are sent to this identity provider of the user pool at once.
SIGN_IN_PROVIDER = env.str("PORTICO_SIGN_IN_PROVIDER", default="")
# The company's SAML provider in IAM, the role it leads to, and where its sign-in page is.
SAML_PROVIDER_ARN = env.str("PORTICO_SAML_PROVIDER_ARN", default="")
SAML_ROLE_ARN = env.str("PORTICO_SAML_ROLE_ARN", default="")
SAML_SIGN_IN_URL = env.str("PORTICO_SAML_SIGN_IN_URL", default="")
# Another system that may vouch for people: the issuer in its tokens, and where its public keys are.
VOUCHER_ISSUER = env.str("PORTICO_VOUCHER_ISSUER", default="")
VOUCHER_KEYS_URL = env.str("PORTICO_VOUCHER_KEYS_URL", default="")

# Whether CloudFront is in front and nothing else can be reached: then its headers say where a browser is.
BEHIND_CLOUDFRONT = env.bool("PORTICO_BEHIND_CLOUDFRONT", default=False)

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["portal.accounts.backend.CognitoBackend"]
LOGIN_URL = "/sign-in/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/sign-in/?stay"  # whoever leaves is not sent on to the company's sign-in

SESSION_ENGINE = "portal.dynamo.sessions"
SESSION_COOKIE_AGE = 12 * 60 * 60  # the refresh token's validity in the template
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_USE_SESSIONS = False
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"

# --- Rides ------------------------------------------------------------------------------------------------------------

RIDE_MINUTES = env.int("PORTICO_RIDE_MINUTES", default=10)  # how long a ride lasts once the unicorn is there
MAP_TILES_URL = env.str("PORTICO_MAP_TILES_URL", default="")  # e.g. https://tiles.example/{z}/{x}/{y}.png
MAP_ATTRIBUTION = env.str("PORTICO_MAP_ATTRIBUTION", default="")  # what the tile server wants to be said
API_ALLOWED_ORIGINS = env.list("PORTICO_API_ALLOWED_ORIGINS", default=[])

# --- Tag policies -----------------------------------------------------------------------------------------------------

# A rule that was written in a hurry must not end a fleet by the hour.
POLICY_MOST_ENDED = env.int("PORTICO_POLICY_MOST_ENDED", default=10)
# The cap of the scheduled run: if more instances, or a larger share of them, would change, nothing is.
POLICY_MOST_CHANGES = env.int("PORTICO_POLICY_MOST_CHANGES", default=None)
POLICY_MOST_PERCENT = env.int("PORTICO_POLICY_MOST_PERCENT", default=None)
# An owner whom the user pool does not know gets mail only at an address of these domains: a tag proves nothing.
OWNER_MAIL_DOMAINS = env.list("PORTICO_OWNER_MAIL_DOMAINS", default=[])

# --- Streaming --------------------------------------------------------------------------------------------------------

# The stack and the fleet of the template, where it has them. Applications in the catalogue name theirs.
STREAMING_STACK = env.str("PORTICO_STREAMING_STACK", default="")
STREAMING_FLEET = env.str("PORTICO_STREAMING_FLEET", default="")
# How long a streaming URL works that nobody has opened.
STREAMING_URL_SECONDS = env.int("PORTICO_STREAMING_URL_SECONDS", default=30)
if not 5 <= STREAMING_URL_SECONDS <= 60:
    raise ImproperlyConfigured("PORTICO_STREAMING_URL_SECONDS must be from 5 to 60.")
# Where streaming URLs lead: browsers are told, and no other address is ever given out.
STREAMING_ORIGINS = env.list(
    "PORTICO_STREAMING_ORIGINS",
    default=[LOCAL_CLOUD] if LOCAL_CLOUD else [f"https://appstream2.{AWS_REGION}.aws.amazon.com"],
)
# The domain that a stack must let frame its streams. AppStream knows no loopback addresses.
STREAMING_EMBED_DOMAIN = env.str(
    "PORTICO_STREAMING_EMBED_DOMAIN", default="portal.localhost" if LOCAL_CLOUD else urlsplit(PORTAL_URL).hostname or ""
)

# --- Mail -------------------------------------------------------------------------------------------------------------

EMAIL_BACKEND = "portal.mail.SesBackend"
DEFAULT_FROM_EMAIL = SERVER_EMAIL = f"Portico <{MAIL_FROM}>"

# --- Django -----------------------------------------------------------------------------------------------------------

DATABASES: dict[str, dict[str, str]] = {}  # DynamoDB is the only database; stray SQL fails loudly
ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
APPEND_SLASH = True
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"
USE_I18N = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024  # a document of a megabyte, however its JSON is written; Lambda takes 6
CSRF_FAILURE_VIEW = "portal.errors.csrf_failure"

INSTALLED_APPS = [
    "portal.apps.PortalAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "portal.apps.PortalStaticFilesConfig",
    "django.forms",  # its templates, beneath ours
    "django_htmx",
    "portal.dynamo",
    "portal.accounts",
    "portal.people",
    "portal.apps.PortalConfig",
    "rides",
    "documents",
    "policies",
    "approvals",
    "portal.streaming",
]
if LOCAL_CLOUD:
    INSTALLED_APPS.append("portal.localcloud")

MIDDLEWARE = [
    "portal.middleware.Reference",
    "portal.cors.Cors",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_permissions_policy.PermissionsPolicyMiddleware",
    "portal.middleware.HeadLikeGet",
    "portal.middleware.PagesForBrowsers",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "portal.middleware.NotForCaches",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "portal.accounts.middleware.FreshTokens",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "portal.errors.json_not_allowed",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "portal" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.context.portal",
            ],
        },
    },
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

STATIC_URL = "/static/"
STATIC_ROOT = env.str("PORTICO_STATIC_ROOT", default=str(BASE_DIR / "staticfiles"))
STORAGES = {
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if LOCAL_CLOUD
        else "portal.staticfiles.HashedFiles"
    },
}
WHITENOISE_USE_FINDERS = bool(LOCAL_CLOUD)
WHITENOISE_AUTOREFRESH = bool(LOCAL_CLOUD)

# --- What a browser may do --------------------------------------------------------------------------------------------

SECURE_SSL_REDIRECT = not LOCAL_CLOUD
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 0 if LOCAL_CLOUD else 365 * 24 * 60 * 60
SECURE_HSTS_INCLUDE_SUBDOMAINS = not LOCAL_CLOUD
SECURE_HSTS_PRELOAD = not LOCAL_CLOUD
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not LOCAL_CLOUD
SESSION_COOKIE_NAME = "portico-session" if LOCAL_CLOUD else "__Host-portico-session"
CSRF_COOKIE_NAME = "portico-csrf" if LOCAL_CLOUD else "__Host-portico-csrf"
X_FRAME_OPTIONS = "DENY"

_SELF, _NONE = "'self'", "'none'"
# https://{s}.tiles.example/{z}/{x}/{y}.png is https://*.tiles.example
_TILE_SERVER = "/".join(MAP_TILES_URL.replace("{s}", "*").split("/")[:3])
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [_NONE],
        "script-src": [_SELF],
        "style-src": [_SELF],
        "img-src": [_SELF, "data:"] + ([_TILE_SERVER] if MAP_TILES_URL else []),
        "font-src": [_SELF],
        "connect-src": [_SELF],
        # Signing out leads on to the hosted UI, which ends its own session; launching an application to its stream.
        "form-action": [_SELF, HOSTED_UI_URL, *STREAMING_ORIGINS],
        "frame-ancestors": [_NONE],
        "base-uri": [_NONE],
    }
}
PERMISSIONS_POLICY: dict[str, list[str]] = {
    "geolocation": ["self"],
    **{name: [] for name in ("camera", "display-capture", "microphone", "payment", "usb", "browsing-topics")},
}

# --- Logs -------------------------------------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"reference": {"()": "portal.middleware.ReferenceFilter"}},
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(reference)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["reference"]}},
    "root": {"handlers": ["console"], "level": "INFO"},
    # botocore's DEBUG records carry tokens and secrets; INFO and up do not.
    "loggers": {"botocore": {"level": "WARNING"}, "urllib3": {"level": "WARNING"}},
}
