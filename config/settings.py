"""Settings: the only file that reads the environment."""

import os
import re
import sys
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

from config import api_documents

SECONDS_MAX = 86_400
FERNET_KEY = re.compile("[A-Za-z0-9_+/-]{43}=")  # 32 bytes; Fernet itself overlooks what follows
BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# -- the data folder: secrets made by `up`, and the addresses of its running engines ------------

DATA_DIR = Path(env.str("TOLLGATE_DATA", default=str(BASE_DIR / ".data"))).absolute()
for name in ("secrets.env", "engines.env"):
    if (DATA_DIR / name).is_file():
        environ.Env.read_env(DATA_DIR / name)


def read_seconds(setting: str, default: int, *, least: int = 0) -> int:
    """A whole number of seconds; a wrong value stops the start, naming the setting only."""
    return read_integer(setting, default, least=least)


def read_integer(setting: str, default: int, *, least: int = 0) -> int:
    try:
        value = env.int(setting, default=default)
    except ValueError:
        raise ImproperlyConfigured(f"{setting} must be a whole number.") from None
    if value < least:
        raise ImproperlyConfigured(f"{setting} must be at least {least}.")
    return value


def read_decimal_seconds(setting: str, default: float) -> float:
    try:
        value = env.float(setting, default=default)
    except ValueError:
        raise ImproperlyConfigured(f"{setting} must be a number of seconds.") from None
    if not 0 <= value <= SECONDS_MAX:
        raise ImproperlyConfigured(f"{setting} must be from 0 to {SECONDS_MAX}.")
    return value


def read_choice(setting: str, default: str, choices: tuple[str, ...]) -> str:
    value = env.str(setting, default=default)
    if value not in choices:
        raise ImproperlyConfigured(f"{setting} must be one of {', '.join(choices)}.")
    return value


def read_json(setting: str, default: list) -> list:
    try:
        value = env.json(setting, default=default)
    except ValueError:
        raise ImproperlyConfigured(f"{setting} must be JSON.") from None
    if not isinstance(value, list):
        raise ImproperlyConfigured(f"{setting} must be a JSON list.")
    return value


def read_secret(setting: str, *, length_min: int, sample_prefixes: tuple[str, ...] = ()) -> str:
    """Raises ImproperlyConfigured for a short or sample secret, unless DEBUG=1."""
    value = env.str(setting, default="")
    weak = len(value) < length_min or value.startswith(sample_prefixes or ("\0",))
    if value and weak and not DEBUG:
        raise ImproperlyConfigured(f"{setting} is too short or a sample value.")
    return value


def read_vault_keys() -> list[str]:
    """One that is no key would be found out only when a provider's secret is to be opened."""
    keys = env.list("VAULT_KEYS", default=[])
    for place, key in enumerate(keys, start=1):
        if not FERNET_KEY.fullmatch(key.strip()):
            raise ImproperlyConfigured(
                f"VAULT_KEYS must be Fernet keys between commas; number {place} is none."
            )
    return keys


def refuse_shared_secret(**secrets: str) -> None:
    """Whoever is given one of them, as a webhook's receiver is, would hold the other as well."""
    setting_of: dict[str, str] = {}
    for setting, value in secrets.items():
        if value and value in setting_of:
            raise ImproperlyConfigured(f"{setting} must differ from {setting_of[value]}.")
        setting_of[value] = setting


# -- core --------------------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
IS_BUILD_COMMAND = len(sys.argv) > 1 and sys.argv[1] in {"up", "test", "makemigrations", "help"}
SECRET_KEY = read_secret("SECRET_KEY", length_min=40, sample_prefixes=("django-insecure-",))
if not SECRET_KEY:
    if not (DEBUG or IS_BUILD_COMMAND):
        raise ImproperlyConfigured(
            "SECRET_KEY is not set. Start with `python3 manage.py up`, or set it."
        )
    SECRET_KEY = "only-for-commands-that-serve-nobody-" + "0" * 20
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
TOLLGATE_URL = env.str("TOLLGATE_URL", default="http://127.0.0.1:8000")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "axes",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "config",
    "spend",
    "tags",
    "proxy",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "tags.pages.outage.OutageMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
APPEND_SLASH = False  # a trailing slash is accepted, nothing is ever redirected
DATA_UPLOAD_MAX_MEMORY_SIZE = 20 * 1024 * 1024

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# -- engines -----------------------------------------------------------------------------------

DATABASE_URL = env.str("DATABASE_URL", default="")
DATABASES = {
    "default": environ.Env.db_url_config(
        DATABASE_URL or "postgres://tollgate@127.0.0.1:1/no_database_is_configured"
    )
}
DATABASES["default"]["ENGINE"] = "django.db.backends.postgresql"
DATABASES["default"]["CONN_MAX_AGE"] = 60
DATABASES["default"].setdefault("OPTIONS", {})["application_name"] = "tollgate"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", default="redis://127.0.0.1:6379/0")
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1).replace(
    "?db=", "?virtual_host="
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_TASK_TIME_LIMIT = 300

# -- people ------------------------------------------------------------------------------------

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "admin:login"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = ["username", "ip_address"]  # either of them
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "tags.signing_in.address_of"
AXES_LOCKOUT_CALLABLE = "tags.signing_in.turn_away"
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
HTTPS_ONLY = env.bool("HTTPS_ONLY", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS_ONLY
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS_ONLY else 0
# What ends TLS in front of us redirects to it; a host's other subdomains are not ours to promise.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"] if HTTPS_ONLY else []
CONTENT_SECURITY_POLICY = {  # no inline script or style anywhere, and nothing from elsewhere
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }
}

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

# -- management API ----------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["proxy.permissions.KeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["proxy.permissions.HasMasterKey"],
    "DEFAULT_PARSER_CLASSES": ["proxy.wire.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["proxy.wire.MoneyJSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "proxy.wire.JSONOnly",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "proxy.api.errors.answer_error",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = api_documents.SETTINGS
API_DOCS = read_choice("API_DOCS", "staff", ("staff", "public"))
METRICS_PUBLIC = env.bool("METRICS_PUBLIC", default=False)

# -- access ------------------------------------------------------------------------------------

MASTER_KEY = read_secret("MASTER_KEY", length_min=16, sample_prefixes=("sk-1234",))
VAULT_KEYS = read_vault_keys()
TRUSTED_PROXIES = env.list("TRUSTED_PROXIES", default=[])
UNKNOWN_KEYS_PER_MINUTE = read_integer("UNKNOWN_KEYS_PER_MINUTE", 300, least=1)

# -- budgets -----------------------------------------------------------------------------------

BUDGET_EXCEEDED_STATUS = int(
    read_choice("BUDGET_EXCEEDED_STATUS", "400", ("400", "402", "422", "429"))
)
BUDGET_DETAILS = read_choice("BUDGET_DETAILS", "full", ("full", "hidden"))
BUDGET_TIME_ZONE = env.str("BUDGET_TIME_ZONE", default="UTC")
REPORT_TIME_ZONE = env.str("REPORT_TIME_ZONE", default="UTC")
UNPRICED_MODELS = read_choice("UNPRICED_MODELS", "reject", ("reject", "allow"))
STRICT_MAX_OUTPUT = read_integer("STRICT_MAX_OUTPUT", 16384, least=1)

# -- tags --------------------------------------------------------------------------------------

UNKNOWN_TAGS = read_choice("UNKNOWN_TAGS", "track", ("track", "reject", "create"))
TAG_CARRIERS = "proxy.carriers"  # which keys always carry a tag is the shop's to say
NEW_TAG_TEMPLATES = read_json("NEW_TAG_TEMPLATES", [{"match": "*"}])
NEW_TAGS_PER_KEY = read_integer("NEW_TAGS_PER_KEY", 100, least=1)
MAX_TAGS_PER_REQUEST = read_integer("MAX_TAGS_PER_REQUEST", 20, least=1)
REJECT_CLIENT_TAGS = env.bool("REJECT_CLIENT_TAGS", default=False)
TAG_HEADER_RULES = read_json("TAG_HEADER_RULES", [])
TAG_USER_AGENT = env.bool("TAG_USER_AGENT", default=False)
TAG_ROUTING = read_choice("TAG_ROUTING", "off", ("off", "any", "all"))

# -- pages -------------------------------------------------------------------------------------

# Who tells what needs attention: of each, one function of (user, now) that yields notices.
NEEDS_ATTENTION = ("proxy.attention.notices", "spend.attention.notices")

# -- alerts ------------------------------------------------------------------------------------

ALERT_WEBHOOKS = env.list("ALERT_WEBHOOKS", default=[])
ALERT_SECRET = read_secret("ALERT_SECRET", length_min=16)
refuse_shared_secret(SECRET_KEY=SECRET_KEY, MASTER_KEY=MASTER_KEY, ALERT_SECRET=ALERT_SECRET)
ALERT_EMAILS = env.list("ALERT_EMAILS", default=[])
ALERT_URLS = env.list("ALERT_URLS", default=[])
if ALERT_WEBHOOKS and not ALERT_SECRET:
    raise ImproperlyConfigured("ALERT_WEBHOOKS needs ALERT_SECRET, which signs what is sent.")
if any(not url.startswith(("https://", "http://")) for url in ALERT_WEBHOOKS):
    raise ImproperlyConfigured("ALERT_WEBHOOKS must be http or https addresses.")
vars().update(env.email_url("EMAIL_URL", default="smtp://localhost:25"))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default="tollgate@localhost")

# -- upstreams ---------------------------------------------------------------------------------

STREAM_COST = env.bool("STREAM_COST", default=True)
STREAM_HEARTBEAT_SECONDS = read_seconds("STREAM_HEARTBEAT_SECONDS", 15)
DRAIN_SECONDS = read_seconds("DRAIN_SECONDS", 120)
PRIVATE_UPSTREAMS = env.bool("PRIVATE_UPSTREAMS", default=True)
UPSTREAM_KEY_ENV = env.str("UPSTREAM_KEY_ENV", default="*_API_KEY")
UPSTREAM_SECRETS = {  # what `os.environ/NAME` may name in a deployment
    name: value for name, value in os.environ.items() if fnmatchcase(name, UPSTREAM_KEY_ENV)
}
CONNECT_SECONDS = read_seconds("CONNECT_SECONDS", 5, least=1)
FIRST_BYTE_SECONDS = read_seconds("FIRST_BYTE_SECONDS", 600, least=1)
STREAM_FIRST_BYTE_SECONDS = read_seconds("STREAM_FIRST_BYTE_SECONDS", 120, least=1)
BETWEEN_CHUNKS_SECONDS = read_seconds("BETWEEN_CHUNKS_SECONDS", 120, least=1)
TOTAL_SECONDS = read_seconds("TOTAL_SECONDS", 600, least=1)
STREAM_TOTAL_SECONDS = read_seconds("STREAM_TOTAL_SECONDS", 1800, least=1)
RETRIES_MAX = read_integer("RETRIES_MAX", 2)
RETRY_PAUSE_SECONDS = read_decimal_seconds("RETRY_PAUSE_SECONDS", 0.25)
RETRY_AFTER_TIMEOUT = env.bool("RETRY_AFTER_TIMEOUT", default=False)
COOLDOWN_FAILURES = read_integer("COOLDOWN_FAILURES", 3, least=1)
COOLDOWN_WITHIN_SECONDS = read_decimal_seconds("COOLDOWN_WITHIN_SECONDS", 60)
COOLDOWN_SECONDS = read_decimal_seconds("COOLDOWN_SECONDS", 5)

LOG_RETENTION_MONTHS = read_integer("LOG_RETENTION_MONTHS", 0)  # 0: for ever

# -- logs --------------------------------------------------------------------------------------

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {"axes": {"level": "WARNING"}},  # at INFO it tells of every sign-in
}
