"""Topics and ACLs put back. Topics come first; ACLs last, as they let applications in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from drkit.domain.change_state import ClusterChange
from drkit.domain.inventory import Part
from drkit.domain.kafka import Acl
from drkit.domain.naming import printable
from drkit.domain.provisioning import Change
from drkit.domain.restoration import Restoration
from drkit.engine.step import Evidence, RunContext
from drkit.steps.provision import Provisioner
from drkit.steps.restore_part import RestorePart
from drkit.steps.restore_view import RestoreView


def _provisioner(view: RestoreView) -> Provisioner:
    ports = view.ports
    seconds = view.world.settings.timeouts.request_seconds
    return Provisioner(ports.reader, ports.writer, ports.inventory_writer, view.world.clock, seconds)


class RestoreTopics(RestorePart):
    """Missing topics are made; what differs of the others is set only where the operator said so."""

    name = "restore-topics"
    part = Part.TOPICS
    what = "topics"

    def describe(self, context: RunContext) -> str:
        """Say what is made."""
        if self._view.request.choice.replace:
            return f"make the topics that {context.target} does not have, and set what differs"
        return f"make the topics that {context.target} does not have"

    def plan(self) -> Restoration:
        """As the cluster is now."""
        return self._view.topics()

    def make(self, context: RunContext, changes: Sequence[Change]) -> None:
        """Make them; each result is looked at."""
        made = _provisioner(self._view).apply(cast("Sequence[ClusterChange]", changes), context.progress)
        made.require_complete(context.target)

    def compensate(self, context: RunContext) -> Evidence:
        """Set back configs that are still as the run set them. Topics and partitions stay: drkit deletes none."""
        topics = self._view.ports.reader.topics()
        kept, restored = [], 0
        for change in self.recorded(context):
            if change["change"] != "set_config":
                topic = change.get("name") or change.get("topic")
                kept.append(printable(f"{change['change'].replace('_', ' ')} {topic}"))
                continue
            topic, config, before = change["topic"], change["config"], change["before"]
            found = topics[topic].configs.get(config) if topic in topics else None
            if found == change["after"] and before is not None:
                self._view.ports.writer.alter_topic_configs(topic, {config: before})
                restored += 1
            elif found != before:
                kept.append(printable(f"{config} of {topic}"))
        return {"restored": restored, "kept": kept}


class RestoreAcls(RestorePart):
    """Missing ACLs are added, denials first. Behind this step applications may be at work: there is no return."""

    name = "restore-acls"
    part = Part.ACLS
    what = "ACLs"
    is_final_by_record = True

    def describe(self, context: RunContext) -> str:
        """Say what is added."""
        return f"add the ACLs that {context.target} does not have: applications may come in"

    def plan(self) -> Restoration:
        """As the cluster is now."""
        return self._view.acls()

    def make(self, context: RunContext, changes: Sequence[Change]) -> None:
        """Add them in one request."""
        made = _provisioner(self._view).apply(cast("Sequence[ClusterChange]", changes), context.progress)
        made.require_complete(context.target)

    def compensate(self, context: RunContext) -> Evidence:
        """Take away those that this run added: allowances first, so that nobody gets in meanwhile."""
        own = [Acl(**change["acl"]) for change in self.recorded(context)]
        writer = self._view.ports.writer
        for permission in ("allow", "deny"):
            if some := [acl for acl in own if acl.permission == permission]:
                writer.delete_acls(some)
        return {"removed": len(own)}
