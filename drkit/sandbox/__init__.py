"""Two Kafka regions on one machine: real Kafka, real MirrorMaker 2, simulated AWS, DNS.

Needs the ``sandbox`` extra. Only the sandbox and its tests import this package.
"""

from drkit.sandbox.sandbox import Fault, Sandbox
from drkit.sandbox.status import RegionStatus, SandboxStatus

__all__ = ["Fault", "RegionStatus", "Sandbox", "SandboxStatus"]
