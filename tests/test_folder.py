"""The data folder: private, held by one `up`, and its secrets made once."""

import json
import os

import pytest
from cryptography.fernet import Fernet

from config.credentials import provide_secrets, write_credentials
from config.folder import Folder, FolderInUse, FolderRefused, is_private


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path / "data")
    folder.open()
    return folder


def mode(path):
    return path.stat().st_mode & 0o777


def test_it_is_private(folder):
    assert mode(folder.path) == 0o700


def test_it_becomes_private_again(folder):
    folder.secrets.touch()
    folder.path.chmod(0o755)

    folder.open()

    assert mode(folder.path) == 0o700


def test_it_refuses_a_folder_with_other_things_and_leaves_it_alone(tmp_path):
    (tmp_path / "thesis.txt").touch()
    tmp_path.chmod(0o755)

    with pytest.raises(FolderRefused, match="holds other things"):
        Folder(tmp_path).open()

    assert mode(tmp_path) == 0o755


def test_it_refuses_a_path_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(FolderRefused, match="cannot be used"):
        Folder(tmp_path / "file").open()


def test_it_refuses_the_folder_of_another_user(folder, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)

    with pytest.raises(FolderRefused, match="belongs to another user"):
        folder.open()


def test_it_is_held_by_one(folder):
    with folder.held(), pytest.raises(FolderInUse, match="in use"), Folder(folder.path).held():
        pass

    with folder.held():
        pass


def test_a_file_is_replaced_whole_and_for_us_alone(folder):
    folder.credentials.write_text("old and open")
    folder.credentials.chmod(0o644)

    folder.write_json(folder.credentials, {"a": 1})

    assert json.loads(folder.credentials.read_text()) == {"a": 1}
    assert mode(folder.credentials) == 0o600
    assert sorted(path.name for path in folder.path.iterdir()) == ["credentials.json", "static"]


def test_a_place_in_tmp_that_somebody_else_has_taken_is_not_private(tmp_path):
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "theirs").mkdir(mode=0o700)
    ours = os.geteuid()

    assert is_private(tmp_path / "new", owners={ours}) is True
    assert is_private(tmp_path / "new", owners={ours}) is True
    assert is_private(tmp_path / "open", owners={ours}) is False
    assert is_private(tmp_path / "link", owners={ours}) is False
    assert is_private(tmp_path / "theirs", owners={ours + 1}) is False


def test_secrets_are_made_once(folder):
    first = provide_secrets(folder, {})

    assert provide_secrets(folder, {}) == first
    assert mode(folder.secrets) == 0o600
    assert first["DJANGO_SUPERUSER_USERNAME"] == "admin"
    assert first["MASTER_KEY"].startswith("sk-")
    assert len(first["MASTER_KEY"]) == 46
    assert Fernet(first["VAULT_KEYS"]).encrypt(b"works")
    assert len({*first.values()}) == 5


def test_the_environment_wins_and_is_not_kept(folder):
    kept = provide_secrets(folder, {})
    given = provide_secrets(folder, {"MASTER_KEY": "sk-from-the-environment"})

    assert given == {**kept, "MASTER_KEY": "sk-from-the-environment"}
    assert provide_secrets(folder, {}) == kept


def test_the_administrator_is_kept_as_he_was_made(folder):
    provide_secrets(folder, {"DJANGO_SUPERUSER_PASSWORD": "as $he 'was' made"})

    assert provide_secrets(folder, {})["DJANGO_SUPERUSER_PASSWORD"] == "as $he 'was' made"


def test_it_refuses_a_password_that_breaks_the_file(folder):
    with pytest.raises(FolderRefused, match="DJANGO_SUPERUSER_PASSWORD") as refusal:
        provide_secrets(folder, {"DJANGO_SUPERUSER_PASSWORD": "two\nMASTER_KEY=lines"})

    assert "two" not in str(refusal.value)
    assert not folder.secrets.exists()


def test_credentials_have_the_shape_that_scripts_rely_on(folder):
    kept = provide_secrets(folder, {})

    write_credentials(folder, url="http://here", kept=kept, password="pw", api_key=None)

    assert json.loads(folder.credentials.read_text()) == {
        "url": "http://here",
        "admin_username": "admin",
        "admin_password": "pw",
        "master_key": kept["MASTER_KEY"],
        "api_key": None,
    }
