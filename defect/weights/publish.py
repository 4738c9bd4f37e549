"""Weights → a repository on the Hub: what changed, in one commit, with a card from the headers.

Nothing but safetensors, their index, figures, licence and card goes up, and examples, which are
drawn anew on the spot: no picture is read from a disk.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from defect.datasets import rendered as synthetic
from defect.evaluation.scorecard import UNBUNDLED_NAME, Result, read_results
from defect.evaluation.scorecard.headers import read_unbundled
from defect.imaging.photo import SUFFIXES
from defect.weights import files as weights
from defect.weights import resolution as sources
from defect.weights.files import (
    INDEX_NAME,
    SCHEMA_VERSION,
    IndexEntry,
    WeightsError,
    read_index,
)
from defect.weights.hub import megabytes
from defect.weights.model_card import model_card

LICENCE_NAME = "LICENSE.md"
CARD_NAME = "README.md"
State = Literal["new", "changed", "unchanged"]


class PublishError(ValueError):
    """Something must not or cannot be published; the text says what to do."""


@dataclass(frozen=True)
class Upload:
    """One file of the repository."""

    path: str
    content: Path | bytes
    size: int
    state: State


@dataclass(frozen=True)
class Plan:
    """What a publication comes to."""

    repo: str
    uploads: tuple[Upload, ...]
    only_on_hub: tuple[IndexEntry, ...]
    """Files that will be on the Hub and are not bundled."""
    exists: bool
    """Whether there is such a repository already."""

    @property
    def changed(self) -> tuple[Upload, ...]:
        return tuple(upload for upload in self.uploads if upload.state != "unchanged")


def plan(repo: str, folder: Path, unbundled: Path) -> Plan:
    """What `publish` would upload; asks the Hub what it has, and changes nothing.

    Args:
        repo: `owner/name`.
        folder: the bundled weights.
        unbundled: weights too large to be bundled, a folder with its own index; may be absent.

    Raises:
        PublishError: a picture in one of the folders, no weights, or the Hub does not answer.
        WeightsError: a file fails its checksum or is damaged.
    """
    local = _verified(unbundled) | _verified(folder)
    if not local:
        raise PublishError("There are no weights to publish.")
    remote = _on_hub(repo)
    there = {
        entry.file: entry
        for entry in sources.only_on_hub(folder)
        if entry.file not in local and (remote or {}).get(entry.file) == entry.sha256
    }
    entries = [*(entry for entry, _ in local.values()), *there.values()]
    found = _headers(folder, unbundled, {entry.file for entry in entries})
    contents: dict[str, Path | bytes] = {file: path for file, (_, path) in local.items()}
    contents |= _small_files(repo, folder, entries, found)
    uploads = tuple(_upload(path, contents[path], remote or {}) for path in sorted(contents))
    bundled = {entry.file for entry in read_index(folder)}
    outside = tuple(entry for entry in entries if entry.file not in bundled)
    return Plan(repo, uploads, outside, remote is not None)


def publish(planned: Plan, folder: Path) -> str:
    """Uploads what changed in one commit, and writes repository and commit to the index.

    Returns:
        The commit's 40 hexadecimal digits.

    Raises:
        PublishError: the Hub refused or does not answer.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    with _told(planned.repo):
        api = HfApi()
        if not planned.exists:
            api.create_repo(planned.repo, exist_ok=True)
        if planned.changed:
            revision: str | None = api.create_commit(
                planned.repo,
                [CommitOperationAdd(upload.path, upload.content) for upload in planned.changed],
                commit_message=f"Weights: {len(planned.changed)} files",
            ).oid
        else:
            revision = api.model_info(planned.repo).sha
    if revision is None:
        raise PublishError(f"The Hub did not name the commit of {planned.repo}. Publish again.")
    files = [dataclasses.asdict(entry) for entry in planned.only_on_hub]
    hub = {"repo": planned.repo, "revision": revision, "files": files}
    weights.write_index(folder, read_index(folder), hub)
    return revision


def describe(planned: Plan) -> str:
    """The plan, a line a file."""
    lines = [f"{u.state:9} {u.path}  {megabytes(u.size)}" for u in planned.uploads]
    size = sum(upload.size for upload in planned.changed)
    where = "" if planned.exists else ", a new repository"
    return "\n".join(
        [
            *lines,
            f"{len(planned.changed)} of {len(lines)} files, {megabytes(size)}, to "
            f"{planned.repo}{where}",
        ]
    )


def _verified(folder: Path) -> dict[str, tuple[IndexEntry, Path]]:
    """The weights files of a folder by name, each read and compared with its checksum."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            raise PublishError(
                f"There is a picture among the weights, {path.name}. Photos of data sets may not "
                f"be passed on: remove it and publish again."
            )
    for entry in (entries := read_index(folder)):
        weights.read(folder, entry.model, entry.category)
    return {entry.file: (entry, folder / entry.file) for entry in entries}


def _headers(folder: Path, unbundled: Path, files: set[str]) -> list[Result]:
    """The headers of what will be on the Hub, there all of it bundled."""
    everything = [*read_results(folder), *read_results(unbundled), *read_unbundled(folder)]
    found = {
        weights.relative_path(r.model, r.category): dataclasses.replace(r, bundled=True)
        for r in reversed(everything)
    }
    missing = files - found.keys()
    if missing:
        raise WeightsError(f"There are no figures of {', '.join(sorted(missing))}.")
    order = [weights.relative_path(r.model, r.category) for r in everything]
    return [found[name] for name in dict.fromkeys(order) if name in files]


def _small_files(
    repo: str, folder: Path, entries: Sequence[IndexEntry], found: Sequence[Result]
) -> dict[str, Path | bytes]:
    """Card, index, licence, figures and the drawn examples."""
    index = {
        "schema_version": SCHEMA_VERSION,
        "hub": {"repo": None, "revision": None},
        "files": [dataclasses.asdict(e) for e in sorted(entries, key=lambda e: e.file)],
    }
    files: dict[str, Path | bytes] = {
        INDEX_NAME: (json.dumps(index, indent=1) + "\n").encode(),
        CARD_NAME: model_card(repo, found).encode(),
    }
    files |= {
        name: folder / name for name in (LICENCE_NAME, UNBUNDLED_NAME) if (folder / name).is_file()
    }
    wanted = {entry.category for entry in entries}
    wanted |= {"rendered_steel"} if "neu" in wanted else set()
    drawn = _examples() if wanted & {*synthetic.CATEGORIES, "rendered_steel"} else {}
    return files | {path: data for path, data in drawn.items() if path.split("/")[1] in wanted}


@lru_cache(maxsize=1)
def _examples() -> dict[str, bytes]:
    """The app's examples by their paths in the repository, drawn anew."""
    with tempfile.TemporaryDirectory() as folder:
        synthetic.write_examples(Path(folder))
        return {
            f"examples/{path.parent.name}/{path.name}": path.read_bytes()
            for path in sorted(Path(folder).rglob("*.jpg"))
        }


def _upload(path: str, content: Path | bytes, remote: dict[str, str]) -> Upload:
    data = content if isinstance(content, bytes) else content.read_bytes()
    # What the Hub knows a file by: the sha256 of a large one, git's own checksum of others.
    known = (
        hashlib.sha256(data).hexdigest(),
        hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest(),
    )
    state: State = "new" if path not in remote else "changed"
    return Upload(path, content, len(data), "unchanged" if remote.get(path) in known else state)


def _on_hub(repo: str) -> dict[str, str] | None:
    """Checksums of the files in the repository; None if there is no such repository."""
    from huggingface_hub import HfApi, RepoFile
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    with _told(repo):
        try:
            listed = list(HfApi().list_repo_tree(repo, recursive=True))
        except GatedRepoError:
            raise
        except RepositoryNotFoundError:
            return None
    return {
        entry.path: entry.lfs.sha256 if entry.lfs else entry.blob_id
        for entry in listed
        if isinstance(entry, RepoFile)
    }


@contextmanager
def _told(repo: str) -> Iterator[None]:
    """Turns the Hub client's errors into a sentence."""
    from httpx2 import HTTPError
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        yield
    except HfHubHTTPError as error:
        if error.response.status_code in (401, 403):
            raise PublishError(
                f"The Hub does not let you write to {repo}. Set HF_TOKEN to a token that may "
                f"write, or run `hf auth login`."
            ) from error
        raise PublishError(
            f"The Hub answered with error {error.response.status_code}. Nothing was published; "
            f"try again later."
        ) from error
    except OfflineModeIsEnabled as error:
        raise PublishError("HF_HUB_OFFLINE is set. Unset it to publish.") from error
    except HFValidationError as error:
        raise PublishError(f'"{repo}" is no name on the Hub. Give OWNER/NAME.') from error
    except HTTPError as error:
        raise PublishError(
            "The Hub cannot be reached. Nothing was published; try again later."
        ) from error
