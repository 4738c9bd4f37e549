"""Weights → a repository on the Hub: what changed, in one commit, with a card from the headers.

Nothing but safetensors, their index, figures, licence and card goes up, and rendered examples: no
picture is read from a disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from defect.imaging.photo import SUFFIXES
from defect.inspection import Message
from defect.weights import files, resolution, unbundled
from defect.weights.errors import WeightsError
from defect.weights.files import Metadata
from defect.weights.hub import megabytes
from defect.weights.index import (
    INDEX_NAME,
    SCHEMA_VERSION,
    IndexEntry,
    line,
    read_index,
    relative_path,
    write_index,
)
from defect.weights.unbundled import UNBUNDLED_NAME

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


def plan(
    repo: str,
    folder: Path,
    unbundled_folder: Path,
    *,
    card: Callable[[str, Sequence[Metadata]], str],
    examples: Mapping[str, bytes],
) -> Plan:
    """What `publish` would upload; asks the Hub what it has, and changes nothing.

    Args:
        repo: `owner/name`.
        folder: the bundled weights.
        unbundled_folder: weights too large to be bundled, a folder with its own index; may be
            absent.
        card: makes the model card of the repository's name and the files' headers.
        examples: rendered photos by their path in the repository, `examples/<category>/<name>`.

    Raises:
        PublishError: a picture in one of the folders, no weights, or the Hub does not answer.
        WeightsError: a file fails its checksum or is damaged.
    """
    local = _verified(unbundled_folder) | _verified(folder)
    if not local:
        raise PublishError(Message("nothing_to_publish", "There are no weights to publish."))
    remote = _on_hub(repo)
    there = {
        entry.file: entry
        for entry in resolution.only_on_hub(folder)
        if entry.file not in local and (remote or {}).get(entry.file) == entry.sha256
    }
    entries = [*(entry for entry, _ in local.values()), *there.values()]
    headers = _headers(local, folder, {entry.file for entry in entries})
    contents: dict[str, Path | bytes] = {file: path for file, (_, path) in local.items()}
    contents |= _small_files(folder, entries) | _wanted_examples(examples, entries)
    contents[CARD_NAME] = card(repo, headers).encode()
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

    with _readable_errors(planned.repo):
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
        raise PublishError(
            Message(
                "hub_did_not_name",
                "The Hub did not name the commit of {repo}. Publish again.",
                repo=planned.repo,
            )
        )
    listed = [line(entry) for entry in planned.only_on_hub]
    hub = {"repo": planned.repo, "revision": revision, "files": listed}
    write_index(folder, read_index(folder), hub)
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
                Message(
                    "picture_among_weights_photos",
                    "There is a picture among the weights, {name}. Photos of data sets may "
                    "not be passed on: remove it and publish again.",
                    name=path.name,
                )
            )
    for entry in (entries := read_index(folder)):
        files.read(folder, entry.model, entry.category)
    return {entry.file: (entry, folder / entry.file) for entry in entries}


def _headers(
    local: Mapping[str, tuple[IndexEntry, Path]], folder: Path, wanted: set[str]
) -> list[Metadata]:
    """The headers of what will be on the Hub."""
    found = {relative_path(h.model, h.category): h for h in unbundled.read(folder)}
    found |= {file: files.read_metadata(path) for file, (_, path) in local.items()}
    missing = wanted - found.keys()
    if missing:
        raise WeightsError(
            Message(
                "figures_missing",
                "There are no figures for {files}. Evaluate them first.",
                files=", ".join(sorted(missing)),
            )
        )
    return [header for file, header in found.items() if file in wanted]


def _small_files(folder: Path, entries: Sequence[IndexEntry]) -> dict[str, Path | bytes]:
    """Index, licence and figures."""
    index = {
        "schema_version": SCHEMA_VERSION,
        "hub": {"repo": None, "revision": None},
        "files": [line(entry) for entry in sorted(entries, key=lambda e: e.file)],
    }
    small: dict[str, Path | bytes] = {INDEX_NAME: (json.dumps(index, indent=1) + "\n").encode()}
    names = (LICENCE_NAME, UNBUNDLED_NAME)
    return small | {name: folder / name for name in names if (folder / name).is_file()}


def _wanted_examples(
    examples: Mapping[str, bytes], entries: Sequence[IndexEntry]
) -> dict[str, Path | bytes]:
    """The examples of the categories there are weights for."""
    categories = {entry.category for entry in entries}
    categories |= {"rendered_steel"} if "neu" in categories else set()
    return {path: data for path, data in examples.items() if path.split("/")[1] in categories}


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

    with _readable_errors(repo):
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
def _readable_errors(repo: str) -> Iterator[None]:
    """Turns the Hub client's errors into a sentence."""
    from httpx2 import HTTPError
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        yield
    except HfHubHTTPError as error:
        if error.response.status_code in (401, 403):
            raise PublishError(
                Message(
                    "hub_does_not_let",
                    "The Hub does not let you write to {repo}. Set HF_TOKEN to a token "
                    "that may write, or run `hf auth login`.",
                    repo=repo,
                )
            ) from error
        raise PublishError(
            Message(
                "hub_answered_error_nothing",
                "The Hub answered with error {status_code}. Nothing was published; try "
                "again later.",
                status_code=error.response.status_code,
            )
        ) from error
    except OfflineModeIsEnabled as error:
        raise PublishError(
            Message("hf_hub_offline_set", "HF_HUB_OFFLINE is set. Unset it to publish.")
        ) from error
    except HFValidationError as error:
        raise PublishError(
            Message(
                "name_hub_give_owner", '"{repo}" is no name on the Hub. Give OWNER/NAME.', repo=repo
            )
        ) from error
    except HTTPError as error:
        raise PublishError(
            Message(
                "hub_cannot_reached_nothing",
                "The Hub cannot be reached. Nothing was published; try again later.",
            )
        ) from error
