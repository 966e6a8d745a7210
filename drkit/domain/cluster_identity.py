"""Whether a cluster is the one that the configuration names: drkit changes nothing on any other."""

from __future__ import annotations

from drkit.errors import RefusedError


def require_known_cluster(region: str, found: str, expected: str) -> None:
    """Raise ``RefusedError`` where the id that a region's cluster tells is not the configured one."""
    if found != expected:
        raise RefusedError(
            f"the cluster at {region} has id {found}, and regions.{region}.cluster.cluster_id is {expected}",
            hint="drkit changes nothing on a cluster it does not know: correct the bootstrap address or the id; if "
            f"{region} was rebuilt, put the new id into drkit.yaml",
        )
