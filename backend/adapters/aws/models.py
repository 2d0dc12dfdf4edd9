"""A model on Amazon Bedrock: the one call that is made of it, and in one line each why it does not answer."""

import re
import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from backend.adapters.aws.clients import MODELS, Cloud, Misconfigured, code_of, explained, message_of, told
from backend.errors import RequestError, Unavailable

VARIABLE = "BEDROCK_MODEL_ID"
AGAIN_SECONDS = 2.0  # what failed within this time is tried once more
PAUSE_SECONDS = 0.5
_FEW_TOKENS = 16
_OWN = (
    "AccessDeniedException",
    "BadCScoreException",
    "FTUFormNotFilled",
    "ModelErrorException",
    "ModelNotReadyException",
    "ModelTimeoutException",
    "ResourceNotFoundException",
    "ServiceQuotaExceededException",
    "ThrottlingException",
    "ValidationException",
)
_of_an_arn = re.compile(r"arn:([a-z-]+):bedrock:([a-z0-9-]+):").match
_profile_of = re.compile(r"(?:[a-z]{2}|us-gov|apac|global)\.(.+\..+)").fullmatch  # no provider has so short a name


class Model:
    """A model, by its id, the id of an inference profile, or an ARN. Its methods block."""

    def __init__(self, cloud: Cloud, model_id: str) -> None:
        self.cloud = cloud
        self.id = model_id
        self.what = f"The Bedrock model {model_id}"
        found = _of_an_arn(model_id)
        self.region = found.group(2) if found else None
        self._forced = True

    @property
    def client(self) -> Any:
        """boto3's, in the region that an ARN names. Raises Misconfigured where none is known."""
        return self.cloud.client(MODELS, self.region)

    def converse(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer to a request that has tools. What fails at once is tried once more; what was slow is paid for
        already, and whoever asks waits no longer. Raises Unavailable."""
        started = time.monotonic()
        try:
            return self._converse(asked)
        except Misconfigured:
            raise
        except Unavailable:
            if time.monotonic() - started > AGAIN_SECONDS:
                raise
        time.sleep(PAUSE_SECONDS)
        return self._converse(asked)

    def try_out(self) -> None:
        """Ask something that costs next to nothing, in the form of a real question. Raises Unavailable."""
        schema = {"type": "object", "properties": {"well": {"type": "boolean"}}, "required": ["well"]}
        tool = {"name": "answer", "description": "Answer.", "inputSchema": {"json": schema}}
        self.converse(
            {
                "system": [{"text": "Call the tool."}],
                "messages": [{"role": "user", "content": [{"text": "Is all well?"}]}],
                "inferenceConfig": {"maxTokens": _FEW_TOKENS},
                "toolConfig": {"tools": [{"toolSpec": tool}]},
            }
        )

    def _converse(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """Some models can't be made to use a tool: these are asked to, and may."""
        forced = self._forced
        choice: dict[str, Any] = {"toolChoice": {"any": {}}} if forced else {}
        request = {**asked, "toolConfig": {**asked["toolConfig"], **choice}}
        try:
            with told(self.what, *_OWN):
                answer: Mapping[str, Any] = self.client.converse(modelId=self.id, **request)
                return answer
        except ClientError as problem:
            if forced and code_of(problem) == "ValidationException" and "toolChoice" in message_of(problem):
                self._forced = False
                return self._converse(asked)
            raise _refused(problem, self.what) from problem
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as problem:
            # botocore trusts an answer to have the form that it should.
            raise Unavailable(f"{self.what} sent something that is no answer of the Converse API.") from problem


def _refused(problem: ClientError, what: str) -> RequestError:
    """Unavailable, in words that tell one refusal of Bedrock's from another."""
    code, message = code_of(problem), message_of(problem)
    if code == "AccessDeniedException" and "not authorized to perform: bedrock:" in message:
        return explained(problem, what)
    if code in ("AccessDeniedException", "BadCScoreException"):
        return Misconfigured(
            f"{what} can't be used: this account has no access to it; open it once in the Bedrock console, as somebody "
            "who may subscribe to it."
        )
    if code == "FTUFormNotFilled" or "use case details" in message:
        return Misconfigured(
            f"{what} can't be used: its provider wants the use case described first; fill in the form in the Bedrock "
            "console."
        )
    if code == "ResourceNotFoundException":
        old = re.search(r"legacy|end of its life", message, re.IGNORECASE)
        why = "is no longer offered to this account" if old else "does not exist in this region"
        return Misconfigured(f"{what} {why}; set {VARIABLE} to one that Bedrock lists there.")
    if code == "ValidationException":
        return _invalid(message, what)
    if code == "ServiceQuotaExceededException" or (code == "ThrottlingException" and "per day" in message):
        return Unavailable(f"{what} has used up the account's quota; raise it under Service Quotas, or wait.")
    if code == "ModelNotReadyException":
        return Unavailable(f"{what} is not ready yet; try again in a moment.")
    if code == "ModelTimeoutException":
        return Unavailable(f"{what} took too long over the question; try again, or choose a quicker {VARIABLE}.")
    if code == "ModelErrorException":
        return Unavailable(f"{what} failed over the question ({code}); try again in a moment.")
    return explained(problem, what)


def _invalid(message: str, what: str) -> RequestError:
    if "model identifier is invalid" in message:
        return Misconfigured(f"{what} does not exist in this region; set {VARIABLE} to one that Bedrock lists there.")
    if "on-demand throughput" in message:
        return Misconfigured(
            f"{what} can only be used through an inference profile; set {VARIABLE} to its id, such as eu.… or us.… "
            "before the model's."
        )
    if "tool use" in message:
        return Misconfigured(f"{what} can't use tools, which answers are made with; set {VARIABLE} to one that can.")
    return Unavailable(f"{what} refused the question: {message or 'it says no more'}")


# ---- Permissions -----------------------------------------------------------------------------------------------------


def invoking(model_id: str) -> list[tuple[str, list[str], dict[str, Any]]]:
    """What `bedrock:InvokeModel`, which Converse needs, is to be allowed for: names, resources and conditions.

    AWS's user guide ("Prerequisites for inference profiles", "Geographic" and "Global cross-Region inference"): whoever
    uses a profile needs the profile and the foundation model in each region that it leads to; the condition
    `bedrock:InferenceProfileArn` lets the model be used through the profile alone. Global profiles lead to a model
    without a region.
    """
    arn, profile = model_id, _profile_of(model_id)
    if not model_id.startswith("arn:"):
        arn = f"arn:aws:bedrock:*:*:inference-profile/{model_id}" if profile else _foundation("aws", model_id)
    allowed: list[tuple[str, list[str], dict[str, Any]]] = [("Model", [arn], {})]
    kind, _, name = arn.split(":", 5)[5].partition("/")
    if kind in ("inference-profile", "application-inference-profile"):
        led = _profile_of(name)
        partition, model = arn.split(":")[1], led.group(1) if led else "*"  # one's own profile doesn't tell of which
        behind = [_foundation(partition, model)]
        if name.startswith("global."):
            behind.append(f"arn:{partition}:bedrock:::foundation-model/{model}")
        condition = {"Condition": {"ArnLike": {"bedrock:InferenceProfileArn": arn}}}
        allowed.append(("ModelBehindProfile", behind, condition))
    return allowed


def _foundation(partition: str, model: str) -> str:
    return f"arn:{partition}:bedrock:*::foundation-model/{model}"
