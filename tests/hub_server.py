"""A server on this machine that speaks the Hub's file endpoints, for a real `huggingface_hub`."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

REPO = "someone/defect-weights"
REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class HubServer:
    """What the server holds, how it misbehaves, and what it was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    fault: str = ""
    """Empty, or one of the names in `Handler`: `gated`, `private`, `503`, `drip`, `held`, …"""
    token: str = ""
    """Where set, every request needs it."""
    exists: bool = True
    revision: str = REVISION
    asked: list[tuple[str, str]] = field(default_factory=list)
    commits: list[list[str]] = field(default_factory=list)
    url: str = ""
    uploads: dict[str, bytes] = field(default_factory=dict)
    _server: _Server | None = None

    def start(self) -> HubServer:
        handler = type("Bound", (Handler,), {"hub": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        self.fault = "stopped"
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def downloads(self) -> int:
        """How often content was asked for."""
        return sum(method == "GET" and path.startswith("/cdn/") for method, path in self.asked)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is no error."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path))
        with suppress(ConnectionError):
            if path.startswith("/cdn/"):
                self._content(path.removeprefix("/cdn/"))
            elif self._refused():
                pass
            elif path.startswith(f"/{REPO}/resolve/"):
                revision, _, name = path.removeprefix(f"/{REPO}/resolve/").partition("/")
                self._resolve(revision, name)
            elif path.startswith(f"/api/models/{REPO}") and not self.hub.exists:
                self._error(404, "RepoNotFound")
            elif path.startswith(f"/api/models/{REPO}/tree/"):
                self._json([self._listed(name) for name in sorted(self.hub.files)])
            elif path.startswith(f"/api/models/{REPO}"):
                self._json({"id": REPO, "sha": self.hub.revision, "private": False, "tags": []})
            else:
                self._error(404, "RepoNotFound")

    def do_PUT(self) -> None:
        self.hub.asked.append(("PUT", self.path))
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.hub.uploads[self.path.removeprefix("/upload/")] = data
        self._send(200)

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(("POST", path))
        data = self._body()
        if self._refused():
            return
        if path == "/api/repos/create":
            self.hub.exists = True
            self._json({"url": f"{self.hub.url}/{REPO}"})
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif path == f"/api/models/{REPO}/preupload/main":
            asked = [file["path"] for file in json.loads(data)["files"]]
            modes = {p: "lfs" if p.endswith(".safetensors") else "regular" for p in asked}
            rows = [{"path": p, "uploadMode": m, "shouldIgnore": False} for p, m in modes.items()]
            self._json({"files": rows})
        elif path == f"/{REPO}.git/info/lfs/objects/batch":
            objects = json.loads(data)["objects"]
            for entry in objects:
                entry["actions"] = {"upload": {"href": f"{self.hub.url}/upload/{entry['oid']}"}}
            self._json({"transfer": "basic", "objects": objects})
        elif path == f"/api/models/{REPO}/commit/main":
            self._commit([json.loads(line) for line in data.decode().splitlines()])
        else:
            self._error(404, "RepoNotFound")

    def _commit(self, lines: list[dict[str, Any]]) -> None:
        paths = []
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self.hub.files[value["path"]] = base64.b64decode(value["content"])
                paths.append(value["path"])
            elif line["key"] == "lfsFile":
                self.hub.files[value["path"]] = self.hub.uploads[value["oid"]]
                paths.append(value["path"])
        self.hub.commits.append(sorted(paths))
        self.hub.revision = hashlib.sha1(str(self.hub.commits).encode()).hexdigest()
        url = f"{self.hub.url}/{REPO}/commit/{self.hub.revision}"
        self._json({"success": True, "commitOid": self.hub.revision, "commitUrl": url})

    def _refused(self) -> bool:
        given = self.headers.get("Authorization", "")
        if self.hub.fault == "gated":
            self._error(401, "GatedRepo")
        elif self.hub.fault == "private":
            self._error(401, "RepoNotFound")
        elif self.hub.fault.isdecimal():
            self._error(int(self.hub.fault), "")
        elif self.hub.fault == "portal":
            self._send(200, b"<html>Log in to this wifi</html>")
        elif self.hub.token and given != f"Bearer {self.hub.token}":
            self._error(401, "RepoNotFound")
        else:
            return False
        return True

    def _resolve(self, revision: str, name: str) -> None:
        if revision not in (self.hub.revision, "main") or self.hub.fault == "revision":
            self._error(404, "RevisionNotFound")
        elif name not in self.hub.files:
            self._error(404, "EntryNotFound")
        else:
            data = self.hub.files[name]
            oid = hashlib.sha256(data).hexdigest()
            if name.endswith(".json"):
                self._small(data)
                return
            self._send(
                302,
                # Another host, as the Hub's storage is: the client keeps its token from it.
                Location=f"{self.hub.url.replace('127.0.0.1', 'localhost')}/cdn/{oid}",
                **{
                    "X-Repo-Commit": self.hub.revision,
                    "X-Linked-Etag": f'"{oid}"',
                    "X-Linked-Size": str(len(data)),
                    "ETag": '"0000"',
                },
            )

    def _small(self, data: bytes) -> None:
        """A file outside LFS: from the Hub itself, its checksum is that of its Git blob."""
        served = bytes(len(data)) if self.hub.fault == "wrong config" else data
        blob = hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()
        self._send(200, served, **{"X-Repo-Commit": self.hub.revision, "ETag": f'"{blob}"'})

    def _content(self, oid: str) -> None:
        data = next(d for d in self.hub.files.values() if hashlib.sha256(d).hexdigest() == oid)
        assert "Authorization" not in self.headers, "the token left the Hub"
        start = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0])
        if self.hub.fault == "wrong bytes":
            data = bytes(len(data))
        elif self.hub.fault == "too long":
            data += bytes(100_000)
        rest = data[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if self.hub.fault in ("cut", "cut once"):
            self.wfile.write(rest[: len(rest) // 2])
            self.hub.fault = "" if self.hub.fault == "cut once" else "cut"
            self.close_connection = True
            self.wfile.flush()
            self.connection.shutdown(1)
        elif self.hub.fault == "drip":
            for at in range(0, len(rest), 100):
                if self.hub.fault == "stopped":
                    return
                self.wfile.write(rest[at : at + 100])
                self.wfile.flush()
                time.sleep(0.05)
        else:
            self.wfile.write(rest[:100])
            while self.hub.fault == "held":
                time.sleep(0.05)
            self.wfile.write(rest[100:])

    def _listed(self, name: str) -> dict[str, Any]:
        data = self.hub.files[name]
        blob = hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()
        entry: dict[str, Any] = {"type": "file", "path": name, "size": len(data), "oid": blob}
        if name.endswith(".safetensors"):
            oid = hashlib.sha256(data).hexdigest()
            entry["lfs"] = {"oid": oid, "size": len(data), "pointerSize": 130}
        return entry

    def _body(self) -> bytes:
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _json(self, document: object) -> None:
        self._send(200, json.dumps(document).encode(), **{"Content-Type": "application/json"})

    def _error(self, status: int, code: str) -> None:
        self._send(status, b"", **({"X-Error-Code": code} if code else {}))

    def _send(self, status: int, data: bytes = b"", /, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
