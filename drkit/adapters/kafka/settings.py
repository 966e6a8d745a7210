"""librdkafka's settings for a cluster, from drkit's configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from drkit.adapters.kafka.msk_iam import oauth_settings
from drkit.config.models import Cluster, IamAuth, MtlsAuth, NoAuth, PlainAuth, ScramAuth
from drkit.config.secrets import stand_in_of

ResolveSecret = Callable[[str], str]


def client_settings(cluster: Cluster, resolve_secret: ResolveSecret, *, token_seconds: float = 10.0) -> dict[str, Any]:
    """Librdkafka's settings for a cluster; secrets are resolved here and nowhere kept by drkit.

    ``token_seconds``: deadline of a token for MSK IAM.
    """
    auth = cluster.auth
    tls = cluster.tls.enabled or isinstance(auth, MtlsAuth | IamAuth)
    settings: dict[str, Any] = {"bootstrap.servers": cluster.bootstrap, "client.id": "drkit"}
    if cluster.tls.ca_file:
        settings["ssl.ca.location"] = cluster.tls.ca_file
    match auth:
        case NoAuth():
            settings["security.protocol"] = "SSL" if tls else "PLAINTEXT"
        case PlainAuth() | ScramAuth():
            settings |= {
                "security.protocol": "SASL_SSL" if tls else "SASL_PLAINTEXT",
                "sasl.mechanism": auth.mechanism.upper(),
                "sasl.username": auth.username,
                "sasl.password": resolve_secret(auth.password),
            }
        case MtlsAuth():
            settings |= {
                "security.protocol": "SSL",
                "ssl.certificate.location": auth.certificate_file,
                "ssl.key.location": str(stand_in_of(Path(auth.key_file))),
            }
            if auth.key_password:
                settings["ssl.key.password"] = resolve_secret(auth.key_password)
        case IamAuth():
            settings |= oauth_settings(auth, token_seconds)
    return settings
