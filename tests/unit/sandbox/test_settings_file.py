from __future__ import annotations

from pathlib import Path

import pytest

from drkit.config.load import load
from drkit.sandbox.directory import Directory, Request, new_identity
from drkit.sandbox.provisioning import BACKUP_BUCKETS
from drkit.sandbox.settings_file import settings_text


@pytest.mark.parametrize("single_address", [False, True])
@pytest.mark.parametrize("name", ["box", "a box #1 'quoted'"])
def test_the_file_is_a_valid_configuration(tmp_path: Path, name: str, *, single_address: bool) -> None:
    directory = Directory(tmp_path / name)
    identity = new_identity(Request(subnet="127.44", environment="production", single_address=single_address))
    directory.create(identity)
    directory.config.write_text(settings_text(identity, directory, "Z123"))
    settings = load(directory.config)
    assert (settings.project, settings.environment, settings.primary) == ("genai-demo", "production", "ap-east-2")
    assert settings.replication.topics == (r"genai-demo\.production\..*",)
    assert settings.state.region not in settings.regions
    target = settings.redirect[0]
    assert target.type == ("TXT" if single_address else "A")
    for region in identity.layout.regions:
        cluster = settings.regions[region.name].cluster
        assert cluster.cluster_id == identity.cluster_ids[region.name]
        assert cluster.bootstrap == str(region.broker)
        assert target.values[region.name] == (identity.layout.record_value(region.name),)
        assert cluster.mirror_auth is not None
        backup = settings.regions[region.name].backup
        assert backup is not None
        assert backup.bucket == BACKUP_BUCKETS[region.name]
    assert str(directory.root) in settings.state.local_dir
    text = directory.config.read_text()
    assert not any(directory.password(user) in text for user in ("admin", "mirror", "drkit", "app"))
