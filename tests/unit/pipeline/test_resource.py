import subprocess
import sys

from opentelemetry.sdk.resources import Resource

from otelkit.pipeline import resource
from otelkit.settings import Settings


def attributes(**settings):
    return resource.attributes(Settings(**{"service_name": "shop"} | settings))


def test_service_is_named():
    """Name, instance and environment are always there, the environment under both keys."""
    found = attributes(environment="production")

    assert ("shop", "production", "production") == (
        found["service.name"],
        found["deployment.environment.name"],
        found["deployment.environment"],
    )
    assert found["service.instance.id"] == attributes()["service.instance.id"]


def test_given_attributes_win_over_detection():
    """What the user says about host or process wins over what is detected."""
    found = attributes(resource_attributes={"host.name": "mine", "team": "a"})

    assert ("mine", "a") == (found["host.name"], found["team"])


def test_version_argument_wins_over_detection():
    """A given version wins; else the installed distribution of that name gives it."""
    assert "9.9" == attributes(service_version="9.9")["service.version"]
    assert attributes(service_name="structlog")["service.version"][:1].isdigit()


def test_git_commit_is_read_without_git(tmp_path):
    """The commit of a checkout is read from its files, loose or packed, or of a detached head."""
    git = tmp_path / ".git"
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text("# pack-refs\nabc123 refs/heads/main\n")
    assert "abc123" == resource._git_commit(tmp_path)
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "refs" / "heads" / "main").write_text("def456\n")
    assert "def456" == resource._git_commit(tmp_path)
    (git / "HEAD").write_text("fed789\n")
    assert "fed789" == resource._git_commit(tmp_path / "deeper")


def test_a_working_folder_that_is_gone(tmp_path, monkeypatch):
    """A deployment may have deleted it; then nothing is known of a commit."""
    monkeypatch.setattr(resource, "_version", resource._version.__wrapped__)
    gone = tmp_path / "release-1"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert "service.version" not in attributes(service_name="no-such-distribution")


def test_a_detector_is_asked_once(monkeypatch):
    """Another runtime and a fork's child do not wait for its network calls again; a failure is tried again."""
    asked = []

    class Entry:
        def load(self):
            return self

        __call__ = load

        def detect(self):
            asked.append(1)
            if len(asked) == 1:
                raise TimeoutError
            return Resource({"cloud.region": "north"})

    monkeypatch.setattr(resource.metadata, "entry_points", lambda **_: [Entry()])
    monkeypatch.setattr(resource, "_detected", {})
    settings = Settings(service_name="shop", resource_detectors=("cloud",))
    regions = [resource.build(settings).attributes.get("cloud.region") for _ in range(3)]

    assert [None, "north", "north"] == regions
    assert 2 == len(asked)


def test_command_line_is_not_told_unless_asked(monkeypatch):
    """Arguments can hold secrets: they are recorded on request only."""
    monkeypatch.setattr(sys, "argv", ["prog", "--password=x"])

    assert "process.command_args" not in attributes()
    assert ("prog", "--password=x") == attributes(record_command_args=True)["process.command_args"]


def test_instance_id_changes_with_the_process():
    """Another process has another instance id."""
    program = "from otelkit.pipeline import resource; print(resource.instance_id())"
    ids = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }

    assert 2 == len(ids)
