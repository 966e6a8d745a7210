"""Fixtures of the command line."""

from __future__ import annotations

from tests.fakes.moto import moto_endpoint, no_aws_identity

__all__ = ["moto_endpoint", "no_aws_identity"]
