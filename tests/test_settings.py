"""Settings: each variable from each source, and one clear line for each that is wrong."""

import secrets
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import BadConfiguration
from backend.settings import VARIABLES, load_settings, read_env_file

SECRETS = [variable.name for variable in VARIABLES if variable.secret]
GOOD_TOKEN = "kp3Vq8ZsT1mX6wRb9yLd"


def load(tmp_path: Path, **environ: str):
    return load_settings(environ, tmp_path)


def test_defaults_are_those_of_the_table(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert (settings.api_host, settings.api_port, settings.api_workers) == ("127.0.0.1", 8000, 1)
    assert (settings.environment, settings.log_level, settings.log_format) == ("development", "info", "text")
    assert settings.max_upload_size == 10 * 1024 * 1024
    assert (settings.rate_limit_per_minute, settings.rate_limit_address_per_minute) == (0, 0)
    there = load(tmp_path, ENVIRONMENT="production", ADMIN_TOKEN=GOOD_TOKEN)
    assert (there.log_format, there.rate_limit_per_minute, there.rate_limit_address_per_minute) == ("json", 6000, 12000)
    assert (
        load(
            tmp_path, ENVIRONMENT="production", ADMIN_TOKEN=GOOD_TOKEN, RATE_LIMIT_PER_MINUTE="0"
        ).rate_limit_per_minute
        == 0
    )


def test_proxies_are_addresses_and_networks_or_none(tmp_path: Path) -> None:
    assert load(tmp_path).trusted_proxies == ("127.0.0.1/32",)
    assert load(tmp_path, TRUSTED_PROXIES="none").trusted_proxies == ()
    several = load(tmp_path, TRUSTED_PROXIES="10.0.0.0/8, fd00::/8,::1")
    assert several.trusted_proxies == ("10.0.0.0/8", "fd00::/8", "::1/128")
    assert several.effective()["TRUSTED_PROXIES"] == "10.0.0.0/8,fd00::/8,::1/128"


def test_empty_counts_as_unset(tmp_path: Path) -> None:
    assert load(tmp_path, **{variable.name: "" for variable in VARIABLES}) == load(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENVIRONMENT", "staging"),
        ("API_HOST", "not a host"),
        ("API_PORT", "0"),
        ("API_PORT", "65536"),
        ("API_PORT", "eighty"),
        ("API_PORT", "-1"),
        ("API_PORT", "٨٠"),
        ("API_PORT", "8000 "),
        ("API_WORKERS", "0"),
        ("API_WORKERS", "65"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("DATA_DIR", "a\0b"),
        ("MAX_UPLOAD_SIZE_MB", "0"),
        ("MAX_UPLOAD_SIZE_MB", "1.5"),
        ("FORBIDDEN_FILE_TYPES", "exe; zip"),
        ("FORBIDDEN_FILE_TYPES", "/zip"),
        ("CORS_ORIGINS", "example.org"),
        ("CORS_ORIGINS", "https://a.example/path"),
        ("TRUSTED_PROXIES", "*"),
        ("TRUSTED_PROXIES", "proxy.example.org"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "127.0.0.1,none"),
        ("RATE_LIMIT_PER_MINUTE", "-1"),
        ("RATE_LIMIT_PER_MINUTE", "many"),
        ("RATE_LIMIT_ADDRESS_PER_MINUTE", "1000001"),
        ("SQS_QUEUE_URL", "tickets"),
        ("SQS_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com"),
        ("SQS_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/123456789012/tickets.fifo"),
        ("SQS_QUEUE_URL", f"https://sqs.eu-central-1.amazonaws.com/123456789012/{'t' * 76}"),
        ("BEDROCK_MODEL_ID", "a model"),
        ("BEDROCK_MODEL_ID", "https://bedrock-runtime.eu-central-1.amazonaws.com"),
        ("BEDROCK_MODEL_ID", "../../model"),
        ("BEDROCK_MODEL_ID", "model/../../other"),
        ("BEDROCK_MODEL_ID", "model\n"),
        ("BEDROCK_MODEL_ID", "m" * 2_049),
        ("BEDROCK_MODEL_ID", "arn:aws:s3:::bucket"),
        ("BEDROCK_MODEL_ID", "arn:aws:bedrock:eu-central-1:123456789012:prompt/ABCDEFGHIJ"),
        ("BEDROCK_MODEL_ID", "arn:aws:bedrock:eu-central-1:123456789012:default-prompt-router/anthropic.claude:1"),
        ("ADMIN_TOKEN", "two words"),
        ("ADMIN_TOKEN", "line\nbreak"),
    ],
)
def test_bad_value_is_one_line_that_names_the_variable(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(BadConfiguration) as caught:
        load(tmp_path, **{name: value})
    assert str(caught.value).startswith(name)
    assert "\n" not in str(caught.value)
    if name in SECRETS:
        assert value not in str(caught.value)


@pytest.mark.parametrize("name", SECRETS)
class TestSecrets:
    def field(self, name: str, settings) -> str | None:
        return getattr(settings, name.lower())

    def test_from_the_variable(self, tmp_path: Path, name: str) -> None:
        assert self.field(name, load(tmp_path, **{name: GOOD_TOKEN})) == GOOD_TOKEN

    def test_from_the_file_that_is_named(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "elsewhere").write_text(f"{GOOD_TOKEN}\n")
        assert self.field(name, load(tmp_path, **{f"{name}_FILE": str(tmp_path / "elsewhere")})) == GOOD_TOKEN

    def test_from_the_secrets_directory(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name.lower()).write_text(f"{GOOD_TOKEN}\n")
        assert self.field(name, load(tmp_path)) == GOOD_TOKEN

    def test_both_are_refused(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(BadConfiguration, match=f"{name} and {name}_FILE"):
            load(tmp_path, **{name: "x", f"{name}_FILE": "y"})

    @pytest.mark.parametrize("trouble", ["missing", "directory", "binary"])
    def test_file_that_can_not_be_read_is_refused(self, tmp_path: Path, name: str, trouble: str) -> None:
        path = tmp_path / "file"
        if trouble == "directory":
            path.mkdir()
        if trouble == "binary":
            path.write_bytes(b"\xff\xfe\0")
        with pytest.raises(BadConfiguration, match=name):
            load(tmp_path, **{f"{name}_FILE": str(path)})

    def test_is_shown_only_as_set_or_unset(self, tmp_path: Path, name: str) -> None:
        settings = load(tmp_path, **{name: GOOD_TOKEN})
        assert settings.effective()[name] == "set"
        assert load(tmp_path).effective()[name] == "unset"
        assert GOOD_TOKEN not in f"{settings} {settings.effective()}"


class TestProduction:
    def test_needs_the_admin_token(self, tmp_path: Path) -> None:
        with pytest.raises(BadConfiguration, match="ADMIN_TOKEN is required in production"):
            load(tmp_path, ENVIRONMENT="production")

    @pytest.mark.parametrize(
        "token",
        [
            "short",
            "changeme",
            "123456789012345",
            "aaaaaaaaaaaaaaaaaaaa",
            "abababababababababab",
            "hunter2-hunter2-hunter2",
            "please-change-me-now",
            "CHANGE_THIS_TO_SOMETHING",
            "<your-token-goes-here>",
            "MyPassword1234567",
            "0123456789abcdef",
            "0123456789abcdef0123",
            "zyxwvutsrqponmlkjihg",
            "asdfghjklqwertyuiop1",
            "1234567890123456",
            "qwertyuiopasdfghjkl",
            "a-a-a-a-b-b-b-b-c-c-c-c",
        ],
    )
    def test_refuses_what_is_guessed(self, tmp_path: Path, token: str) -> None:
        with pytest.raises(BadConfiguration, match="ADMIN_TOKEN must be"):
            load(tmp_path, ENVIRONMENT="production", ADMIN_TOKEN=token)

    def test_takes_what_is_random(self) -> None:
        for _ in range(200):
            for token in (secrets.token_hex(16), secrets.token_urlsafe(16)):
                load_settings({"ENVIRONMENT": "production", "ADMIN_TOKEN": token}, Path("/nonexistent"))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "API_PORT": st.integers(1, 65_535).map(str),
            "API_WORKERS": st.integers(1, 64).map(str),
            "LOG_LEVEL": st.sampled_from(["debug", "INFO", "Warning", "error"]),
            "MAX_UPLOAD_SIZE_MB": st.integers(1, 10_240).map(str),
            "CORS_ORIGINS": st.lists(st.sampled_from(["https://a.example", "http://b.example:81", "*"])).map(",".join),
            "SQS_QUEUE_URL": st.sampled_from(
                [
                    "https://sqs.eu-central-1.amazonaws.com/123456789012/my-tickets",
                    "http://sqs.eu-central-1.localhost:4566/000000000000/tickets_1",
                    "http://127.0.0.1:9324/queue/t",
                ]
            ),
            "BEDROCK_MODEL_ID": st.sampled_from(
                [
                    "amazon.nova-lite-v1:0",
                    "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
                    "zai.glm-4.7",
                    "arn:aws:bedrock:eu-central-1::foundation-model/amazon.nova-lite-v1:0",
                    "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:inference-profile/us-gov.amazon.nova-pro-v1:0",
                    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl",
                    "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-lite-v1:0.abc/abcdefghijkl",
                ]
            ),
            "AWS_DEFAULT_REGION": st.sampled_from(["eu-central-1", "us-east-1"]),
        },
    )
)
def test_any_set_of_valid_variables_is_taken(environ: dict[str, str]) -> None:
    shown = load_settings(environ, Path("/nonexistent")).effective()
    for name, value in environ.items():
        if value:
            assert shown[name].lower() == value.lower()


def test_env_file_is_read_as_containers_read_it(tmp_path: Path) -> None:
    path = tmp_path / "a.env"
    path.write_text("# where\n\nDATA_DIR=x=y\nexport UPLOAD_DIR='a b'\nMEMORY_DIR=\n")
    assert read_env_file(path) == {"DATA_DIR": "x=y", "UPLOAD_DIR": "a b", "MEMORY_DIR": ""}
    path.write_text("DATA_DIR=x\nnonsense\n")
    with pytest.raises(BadConfiguration, match="line 2, must be NAME=value"):
        read_env_file(path)
    with pytest.raises(BadConfiguration, match="can't be read"):
        read_env_file(tmp_path / "none")
