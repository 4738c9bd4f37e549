"""What can go wrong with the Hub, as sentences for people."""

from __future__ import annotations

import re

COMMIT = re.compile("[0-9a-f]{40}")


class HubError(RuntimeError):
    """A file cannot be had from the Hub; the text says why and what to do."""


class StillFetching(HubError):
    """The file is on its way, but not within the time its caller had."""


def described(error: BaseException, file: str, repo: str, revision: str, named: str) -> str:
    """An error of the Hub client as a sentence.

    Args:
        named: where the repository was named, such as `weights/index.json`.
    """
    from httpx2 import ConnectError, TimeoutException
    from huggingface_hub import errors

    if isinstance(error, HubError):
        return str(error)
    name, at = f"{file} of {repo} on the Hub", revision
    if COMMIT.fullmatch(at):
        at = f"{at[:8]}…"
    if isinstance(error.__cause__, errors.FileMetadataError):
        error = error.__cause__
    if isinstance(error, errors.OfflineModeIsEnabled):
        return f"{name} is not fetched, as HF_HUB_OFFLINE is set. Unset it, or fetch the file once."
    if isinstance(error, errors.GatedRepoError):
        return f"{repo} on the Hub is gated. Accept its terms there and set HF_TOKEN."
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{repo} on the Hub has no revision {at}. Check {named}."
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"There is no {repo} on the Hub, or it is private. Check the name in "
            f"{named}, or set HF_TOKEN to a token that may read it."
        )
    if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, FileNotFoundError):
        return f"{repo} on the Hub has no {file} at revision {at}. Check {named}."
    if isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code
        if status in (401, 403):
            return f"The Hub refused to give {name}. Set HF_TOKEN to a token that may read it."
        return f"{name} was not fetched: the Hub answered with error {status}. Try again later."
    if isinstance(error, errors.FileMetadataError):
        return f"{name} was not fetched: what answered is no Hub. Check HF_ENDPOINT and proxies."
    if isinstance(error, TimeoutException):
        return f"{name} was not fetched: the Hub did not answer in time. Try again later."
    if isinstance(error, PermissionError):
        return f"{name} was not fetched: its cache cannot be written. Set HF_HOME to a folder."
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        return f"{name} was not fetched: {error.strerror.lower()}. Try again."
    if isinstance(error, ConnectError):
        return f"{name} was not fetched: the Hub cannot be reached. Try again later."
    return f"{name} was not fetched: its download was cut off. Try again."
