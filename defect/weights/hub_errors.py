"""What can go wrong with the Hub, as sentences for people."""

from __future__ import annotations

import re

from defect.inspection import Message

COMMIT = re.compile("[0-9a-f]{40}")


class HubError(RuntimeError):
    """A file cannot be had from the Hub; the text says why and what to do."""


class StillFetching(HubError):
    """The file is on its way, but not within the time its caller had."""


def describe_error(error: BaseException, file: str, repo: str, revision: str, named: str) -> str:
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
        return Message(
            "not_fetched_as_hf",
            "{name} is not fetched, as HF_HUB_OFFLINE is set. Unset it, or fetch the file once.",
            name=name,
        )
    if isinstance(error, errors.GatedRepoError):
        return Message(
            "hub_gated_accept_terms",
            "{repo} on the Hub is gated. Accept its terms there and set HF_TOKEN.",
            repo=repo,
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return Message(
            "hub_has_revision_check",
            "{repo} on the Hub has no revision {at}. Check {named}.",
            repo=repo,
            at=at,
            named=named,
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return Message(
            "hub_private_check_name",
            "There is no {repo} on the Hub, or it is private. Check the name in "
            "{named}, or set HF_TOKEN to a token that may read it.",
            repo=repo,
            named=named,
        )
    if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, FileNotFoundError):
        return Message(
            "hub_has_revision_check_2",
            "{repo} on the Hub has no {file} at revision {at}. Check {named}.",
            repo=repo,
            file=file,
            at=at,
            named=named,
        )
    if isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code
        if status in (401, 403):
            return Message(
                "hub_refused_give_set",
                "The Hub refused to give {name}. Set HF_TOKEN to a token that may read it.",
                name=name,
            )
        return Message(
            "not_fetched_hub_answered",
            "{name} was not fetched: the Hub answered with error {status}. Try again later.",
            name=name,
            status=status,
        )
    if isinstance(error, errors.FileMetadataError):
        return Message(
            "not_fetched_what_answered",
            "{name} was not fetched: what answered is no Hub. Check HF_ENDPOINT and proxies.",
            name=name,
        )
    if isinstance(error, TimeoutException):
        return Message(
            "not_fetched_hub_did",
            "{name} was not fetched: the Hub did not answer in time. Try again later.",
            name=name,
        )
    if isinstance(error, PermissionError):
        return Message(
            "not_fetched_cache_cannot",
            "{name} was not fetched: its cache cannot be written. Set HF_HOME to a folder.",
            name=name,
        )
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        return Message(
            "not_fetched_try_again",
            "{name} was not fetched: {lower}. Try again.",
            name=name,
            lower=error.strerror.lower(),
        )
    if isinstance(error, ConnectError):
        return Message(
            "not_fetched_hub_cannot",
            "{name} was not fetched: the Hub cannot be reached. Try again later.",
            name=name,
        )
    return Message(
        "not_fetched_download_cut",
        "{name} was not fetched: its download was cut off. Try again.",
        name=name,
    )
