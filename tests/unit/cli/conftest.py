"""Fixtures of the command line."""

from __future__ import annotations

from tests.fakes.moto import no_aws_identity

__all__ = ["no_aws_identity"]
