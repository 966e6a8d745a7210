"""What all configuration models share."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Model(BaseModel):
    """Base of all configuration models."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


_SECRET = re.compile(r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|arn:aws[a-z-]*:secretsmanager:.+|connect:\$\{.+\})$")


def _secret_reference(text: str) -> str:
    if not _SECRET.match(text):
        # The text itself may be the secret: it is not repeated.
        raise ValueError(
            "a secret is given by reference: env:NAME, file:PATH, a Secrets Manager ARN, "
            "or, for the mirror, connect:${...}"
        )
    return text


SecretRef = Annotated[
    str,
    AfterValidator(_secret_reference),
    Field(json_schema_extra={"format": "secret-reference", "pattern": _SECRET.pattern}),
]
"""``env:NAME``, ``file:PATH`` (its first line), an ARN in Secrets Manager (a string, or JSON with ``password``).

``connect:${provider:path:key}`` is handed to Kafka Connect as it stands: its worker resolves it, drkit never sees it.
"""
