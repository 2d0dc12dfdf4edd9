"""What AWS takes for a name, so that a wrong one is refused at the start."""

import re


def table(value: str) -> str:
    """A table of DynamoDB. Raises ValueError with what was expected."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]{3,255}", value):
        raise ValueError("3 to 255 letters, digits, '_', '-' and '.', as DynamoDB names a table")
    return value


def bucket(value: str) -> str:
    """A bucket of S3. Raises ValueError with what was expected."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value):
        raise ValueError("3 to 63 lower-case letters, digits, '-' and '.', as S3 names a bucket")
    return value


def queue(value: str) -> str:
    """The URL of a queue of SQS. Raises ValueError with what was expected."""
    if not re.fullmatch(r"https?://[A-Za-z0-9._:-]+(/[A-Za-z0-9_-]+){0,9}?/[A-Za-z0-9_-]{1,75}", value):
        raise ValueError(
            "the URL of a standard queue, such as https://sqs.eu-central-1.amazonaws.com/123456789012/tickets"
        )
    return value


# Of what Converse takes: an id of a model or an inference profile, or the ARN of something that is a model. Prompts
# (which bring their own text) and routers (which choose by themselves) are none.
_MODEL = (
    r"(?=.{1,2048}$)((?!arn:)[A-Za-z0-9][A-Za-z0-9._:-]*|arn:aws(-[a-z]+)*:bedrock:[a-z0-9-]{1,20}:([0-9]{12})?:"
    r"(foundation-model|(application-)?inference-profile|provisioned-model|custom-model(-deployment)?|imported-model)"
    r"/[A-Za-z0-9._:/-]+)"
)


def model(value: str) -> str:
    """A model of Bedrock. Raises ValueError with what was expected."""
    if not re.fullmatch(_MODEL, value):
        raise ValueError("the id or ARN of a Bedrock model or inference profile, such as amazon.nova-lite-v1:0")
    return value
