"""Every setting: its variable, default and meaning, in one table. Nothing else reads the environment.

A secret may also come from a file: the path in `<NAME>_FILE`, or `/run/secrets/<name in lower case>`.
An empty value counts as unset. A bad value raises `BadConfiguration` with one line that names the variable.
"""

import os
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, fields, replace
from ipaddress import ip_network
from pathlib import Path

from backend import aws_names
from backend.errors import BadConfiguration
from backend.guessing import is_guessable

SECRETS_DIR = Path("/run/secrets")
SHORTEST_PRODUCTION_TOKEN = 16
REDACTED = "set"
SERVED = "TICKET_BACKEND_SERVED"  # set by `python -m backend serve`: it has logged the configuration for all workers


@dataclass(frozen=True, slots=True)
class Settings:
    """The effective configuration. Sizes in bytes, paths as given (relative ones to the working directory)."""

    environment: str
    api_host: str
    api_port: int
    api_workers: int
    log_level: str
    log_format: str
    data_dir: Path
    upload_dir: Path
    memory_dir: Path
    max_upload_size: int
    forbidden_file_types: tuple[str, ...]
    cors_origins: tuple[str, ...]
    trusted_proxies: tuple[str, ...]
    rate_limit_per_minute: int
    rate_limit_address_per_minute: int
    webhook_allow_private: tuple[str, ...]
    backup_hours: int
    reopen_days: int
    upload_day_size: int
    upload_day_files: int
    receipts_per_day: int
    disk_reserve: int
    streams_per_person: int
    streams_per_address: int
    read_threads: int
    read_queue: int
    search_seconds: int
    read_seconds: int
    admin_token: str | None
    aws_access_key_id: str | None
    aws_secret_access_key: str | None
    aws_session_token: str | None
    aws_default_region: str | None
    dynamodb_table_name: str | None
    upload_bucket: str | None
    upload_link_seconds: int
    sqs_queue_url: str | None
    bedrock_model_id: str | None
    admin_token_file: Path | None = None  # where the token came from, if from a file; no variable of its own

    @property
    def production(self) -> bool:
        """Whether unsafe settings refuse the start."""
        return self.environment == "production"

    def __repr__(self) -> str:
        return f"Settings({self.effective()})"

    def effective(self) -> dict[str, str]:
        """Variable name → value as it may be logged: secrets only as set or unset."""
        shown = {}
        for variable, field in zip(VARIABLES, fields(self), strict=False):
            value = getattr(self, field.name)
            if variable.secret:
                shown[variable.name] = REDACTED if value else "unset"
            else:
                shown[variable.name] = variable.show(value)
        return shown


def _text(value: str) -> str:
    return value


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value.lower() not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return value.lower()

    return parse


def _whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", value) or not lowest <= int(value) <= highest:
            raise ValueError(f"a whole number from {lowest} to {highest}")
        return int(value)

    return parse


def _megabytes(lowest: int, highest: int) -> Callable[[str], int]:
    return lambda value: _whole_number(lowest, highest)(value) * 1024 * 1024


def _file_types(value: str) -> tuple[str, ...]:
    """Endings of names and types, in lower case."""
    found = tuple(part.strip().lower().removeprefix("*").removeprefix(".") for part in value.split(",") if part.strip())
    for one in found:
        if not re.fullmatch(r"[a-z0-9_+-]+(\.[a-z0-9_+-]+)*|[a-z0-9.+-]+/(\*|[a-z0-9!#$&^_.+-]+)", one):
            raise ValueError("endings and types such as exe,application/zip,video/*, separated by commas")
    return found


def _host(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,255}", value):
        raise ValueError("an IP address or a host name, such as 127.0.0.1")
    return value


def _origins(value: str) -> tuple[str, ...]:
    origins = tuple(part.strip() for part in value.split(",") if part.strip())
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?", origin):
            raise ValueError("origins such as https://helpdesk.example.org, separated by commas")
    return origins


def _networks(word: str, meaning: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def parse(value: str) -> tuple[str, ...]:
        if value.lower() == word:
            return meaning
        try:
            return tuple(str(ip_network(part.strip())) for part in value.split(",") if part.strip())
        except ValueError:
            raise ValueError(f"addresses and networks such as 127.0.0.1,10.0.0.0/8, or {word}") from None

    return parse


def _directory(value: str) -> Path:
    if "\0" in value:
        raise ValueError("a path")
    return Path(value)


def _show_megabytes(value: object) -> str:
    return str(int(str(value)) // (1024 * 1024))


def _show(value: object) -> str:
    if value is None:
        return "unset"
    if isinstance(value, tuple):
        return ",".join(value) or "none"
    return str(value)


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable, in the order of `Settings`' fields."""

    name: str
    default: str | None
    meaning: str
    parse: Callable[[str], object] = _text
    secret: bool = False
    show: Callable[[object], str] = _show


VARIABLES = (
    Variable(
        "ENVIRONMENT",
        "development",
        "`development` or `production`; production refuses to start where it would be unsafe",
        _one_of("development", "production"),
    ),
    Variable("API_HOST", "127.0.0.1", "address to listen on (the image sets `::`)", _host),
    Variable("API_PORT", "8000", "port to listen on", _whole_number(1, 65_535)),
    Variable("API_WORKERS", "1", "worker processes", _whole_number(1, 64)),
    Variable(
        "LOG_LEVEL", "info", "`debug`, `info`, `warning` or `error`", _one_of("debug", "info", "warning", "error")
    ),
    Variable(
        "LOG_FORMAT", None, "`text` or `json`; `text`, and `json` in production, if unset", _one_of("text", "json")
    ),
    Variable("DATA_DIR", "data", "directory of the database", _directory),
    Variable("UPLOAD_DIR", "uploads", "directory of the attachments", _directory),
    Variable("MEMORY_DIR", "memories", "directory of the memories (Markdown)", _directory),
    Variable("MAX_UPLOAD_SIZE_MB", "10", "largest attachment, in MiB", _megabytes(1, 10_240), show=_show_megabytes),
    Variable(
        "FORBIDDEN_FILE_TYPES",
        "",
        "kinds of files that nobody may attach: endings of names and types such as `exe,application/zip,video/*`, "
        "separated by commas; none, if unset",
        _file_types,
    ),
    Variable("CORS_ORIGINS", "", "web origins that may call the API, separated by commas", _origins),
    Variable(
        "TRUSTED_PROXIES",
        "127.0.0.1",
        "addresses and networks whose `X-Forwarded-For` and `X-Forwarded-Proto` count, separated by commas, or `none`",
        _networks("none", ()),
    ),
    Variable(
        "RATE_LIMIT_PER_MINUTE",
        None,
        "requests a minute of one token, unless the token has a limit of its own; `0`: no limit, which is the default "
        "but in production, where it is 6000",
        _whole_number(0, 1_000_000),
    ),
    Variable(
        "RATE_LIMIT_ADDRESS_PER_MINUTE",
        None,
        "requests a minute of one client address; `0`: no limit, which is the default but in production, where it is "
        "12000",
        _whole_number(0, 1_000_000),
    ),
    Variable(
        "WEBHOOK_ALLOW_PRIVATE",
        "",
        "private networks that webhooks may be sent to, separated by commas, or `all`; none, if unset",
        _networks("all", ("all",)),
    ),
    Variable(
        "BACKUP_HOURS",
        "0",
        "`/health` says `degraded` if no backup succeeded for so long; `0`: never",
        _whole_number(0, 8_760),
    ),
    Variable(
        "REOPEN_DAYS",
        "30",
        "for so many days a requester's answer reopens a resolved or closed ticket; later it opens a new one, linked "
        "to the old; `0`: always a new one",
        _whole_number(0, 36_500),
    ),
    Variable(
        "UPLOAD_MB_PER_DAY",
        "500",
        "MiB of files and texts that one requester may send in a day (UTC); agents are not counted; `0`: no limit",
        _megabytes(0, 10_000_000),
        show=_show_megabytes,
    ),
    Variable(
        "UPLOAD_FILES_PER_DAY",
        "500",
        "files that one requester may send in a day (UTC); agents are not counted; `0`: no limit",
        _whole_number(0, 1_000_000),
    ),
    Variable(
        "RECEIPTS_PER_DAY",
        "100000",
        "requests with an Idempotency-Key that one person, of any role, may send in a day (UTC); `0`: no limit",
        _whole_number(0, 100_000_000),
    ),
    Variable(
        "DISK_RESERVE_MB",
        "256",
        "MiB of each state directory's volume that are kept free, at most an eighth of it: below that nothing new is "
        "taken (507), and what is there can be read, closed and deleted; `0`: none",
        _megabytes(0, 10_000_000),
        show=_show_megabytes,
    ),
    Variable(
        "STREAMS_PER_PERSON",
        "30",
        "live event streams (`GET /api/events`) that one person may hold open in a worker process; `0`: no limit",
        _whole_number(0, 100_000),
    ),
    Variable(
        "STREAMS_PER_ADDRESS", "1000", "the same for one client address; `0`: no limit", _whole_number(0, 100_000)
    ),
    Variable(
        "READ_THREADS",
        "8",
        "threads of a process for searches, long lists and figures; one person gets a quarter of them, one address "
        "three quarters; with DynamoDB there are four times as many",
        _whole_number(1, 64),
    ),
    Variable(
        "READ_QUEUE",
        "32",
        "so many reads of one person may wait for a thread; more are answered 429",
        _whole_number(1, 10_000),
    ),
    Variable("SEARCH_SECONDS", "10", "a search that takes longer is stopped and answered 503", _whole_number(1, 3_600)),
    Variable(
        "READ_SECONDS", "30", "any other list or figure that takes longer is stopped likewise", _whole_number(1, 3_600)
    ),
    Variable("ADMIN_TOKEN", None, "the first administrator's bearer token; required in production", secret=True),
    Variable("AWS_ACCESS_KEY_ID", None, "AWS credentials, as boto3 reads them", secret=True),
    Variable("AWS_SECRET_ACCESS_KEY", None, "AWS credentials, as boto3 reads them", secret=True),
    Variable("AWS_SESSION_TOKEN", None, "AWS credentials, as boto3 reads them", secret=True),
    Variable("AWS_DEFAULT_REGION", None, "AWS region, as boto3 reads it"),
    Variable("DYNAMODB_TABLE_NAME", None, "keep tickets in this DynamoDB table instead of SQLite", aws_names.table),
    Variable("UPLOAD_BUCKET", None, "keep attachments in this S3 bucket instead of UPLOAD_DIR", aws_names.bucket),
    Variable(
        "UPLOAD_LINK_SECONDS",
        "0",
        "with UPLOAD_BUCKET: answer a download with a redirect into the bucket that is good for so many seconds; `0`: "
        "send the bytes through this server",
        _whole_number(0, 3_600),
    ),
    Variable("SQS_QUEUE_URL", None, "hand background work to this SQS queue instead of the database", aws_names.queue),
    Variable("BEDROCK_MODEL_ID", None, "triage with this Bedrock model instead of offline", aws_names.model),
)


# What is unset depends on ENVIRONMENT here: elsewhere, and in production.
_BY_ENVIRONMENT: dict[str, tuple[object, object]] = {
    "log_format": ("text", "json"),
    "rate_limit_per_minute": (0, 6_000),
    "rate_limit_address_per_minute": (0, 12_000),
}


def forget_empty_aws_variables(environ: MutableMapping[str, str] = os.environ) -> None:
    """Compose files hand on what is not set as empty, which boto3 would take for a profile, a region or an address."""
    for name in [name for name, value in environ.items() if name.startswith("AWS_") and value == ""]:
        del environ[name]


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a file such as `docker run --env-file` takes. Raises BadConfiguration."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise BadConfiguration(f"{path} can't be read: {getattr(problem, 'strerror', None) or problem}.") from None
    values = {}
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.removeprefix("export ").partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise BadConfiguration(f"{path}, line {number}, must be NAME=value.")
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        values[name] = value[1:-1] if quoted else value
    return values


def load_settings(environ: Mapping[str, str] = os.environ, secrets_dir: Path = SECRETS_DIR) -> Settings:
    """Read and check everything. Raises BadConfiguration, naming the variable and what was expected."""
    values = [_read(variable, environ, secrets_dir) for variable in VARIABLES]
    by_field = dict(zip((field.name for field in fields(Settings)), values, strict=False))
    by_field["admin_token_file"] = _secret_file("ADMIN_TOKEN", environ, secrets_dir)
    in_production = by_field["environment"] == "production"
    for name, (otherwise, there) in _BY_ENVIRONMENT.items():
        if by_field[name] is None:
            by_field[name] = there if in_production else otherwise
    settings = Settings(**by_field)  # type: ignore[arg-type]  # each parser gives its field's type
    _refuse_unsafe(settings)
    return settings


def _read(variable: Variable, environ: Mapping[str, str], secrets_dir: Path) -> object:
    raw = environ.get(variable.name, "")
    if variable.secret:
        raw = _secret(variable.name, raw, environ, secrets_dir)
    if raw == "":
        if variable.default is None:
            return None
        raw = variable.default
    try:
        return variable.parse(raw)
    except ValueError as problem:
        got = "" if variable.secret else f", not {raw!r}"
        raise BadConfiguration(f"{variable.name} must be {problem}{got}.") from None


def _secret(name: str, raw: str, environ: Mapping[str, str], secrets_dir: Path) -> str:
    """The secret from the variable, the file that `<NAME>_FILE` names, or the secrets directory."""
    named = environ.get(f"{name}_FILE", "")
    if raw and named:
        raise BadConfiguration(f"{name} and {name}_FILE are both set; keep one of them.")
    if raw:
        return _checked_secret(name, raw)
    path = Path(named) if named else secrets_dir / name.lower()
    try:
        return _checked_secret(name, path.read_text("utf-8").strip())
    except OSError as problem:
        if not named and isinstance(problem, FileNotFoundError | NotADirectoryError):
            return ""
        source = f"{name}_FILE" if named else name
        reason = problem.strerror or problem
        raise BadConfiguration(f"{source} must be a readable file; {path}: {reason}.") from None
    except UnicodeDecodeError:
        raise BadConfiguration(f"{name}: the file {path} must hold the secret as UTF-8 text.") from None


def _secret_file(name: str, environ: Mapping[str, str], secrets_dir: Path) -> Path | None:
    """The file that `_secret` reads; None where the variable itself holds the secret, or nothing does."""
    path = Path(environ.get(f"{name}_FILE", "") or secrets_dir / name.lower())
    return path if not environ.get(name, "") and path.is_file() else None


def accept_admin_token(settings: Settings, value: str) -> str:
    """A token that has replaced the one in the file. Raises BadConfiguration, as at the start."""
    if value == "":
        raise BadConfiguration("ADMIN_TOKEN must not be empty.")
    _refuse_unsafe(replace(settings, admin_token=_checked_secret("ADMIN_TOKEN", value)))
    return value


def _checked_secret(name: str, value: str) -> str:
    if not value.isprintable() or " " in value or not value.isascii():
        raise BadConfiguration(f"{name} must be one word of visible ASCII characters.")
    return value


def _refuse_unsafe(settings: Settings) -> None:
    if not settings.production:
        return
    token = settings.admin_token
    if token is None:
        raise BadConfiguration(
            "ADMIN_TOKEN is required in production: set it, or ADMIN_TOKEN_FILE, or mount "
            "/run/secrets/admin_token (make one with: openssl rand -hex 32)."
        )
    if len(token) < SHORTEST_PRODUCTION_TOKEN or is_guessable(token):
        raise BadConfiguration(
            f"ADMIN_TOKEN must be at least {SHORTEST_PRODUCTION_TOKEN} characters that nobody guesses "
            "in production (make one with: openssl rand -hex 32)."
        )
