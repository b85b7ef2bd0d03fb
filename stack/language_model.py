"""A stand-in for a provider of language models, as MLflow's gateway calls it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

import httpx

from stack.http_server import serving

__all__ = ["LanguageModel", "gateway_endpoint", "language_model"]

_ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
_OVERLOADED = {"error": {"message": "overloaded"}}


@dataclass
class LanguageModel:
    """A running provider with OpenAI's API at `url`; it says Yes, or 503 while it `is_down`."""

    url: str = ""
    is_down: bool = False


@contextmanager
def language_model() -> Iterator[LanguageModel]:
    """Run a provider on loopback until the block ends."""
    provider = LanguageModel()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, said = (503, _OVERLOADED) if provider.is_down else (200, _ANSWER)
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Be silent."""

    with serving(Handler) as url:
        provider.url = f"{url}/v1"
        yield provider


def gateway_endpoint(
    mlflow_uri: str, name: str, provider_url: str, *, tracked: bool = False
) -> str:
    """Let MLflow's gateway pass on what *name* is asked; return the path that takes questions.

    If *tracked*, MLflow makes a trace of each request, which tells of its tokens.
    """
    with httpx.Client(base_url=f"{mlflow_uri}/api/3.0/mlflow/gateway", timeout=60) as client:

        def create(kind: str, **fields: object) -> dict[str, dict[str, str]]:
            answer = client.post(f"/{kind}/create", json=fields)
            content: dict[str, dict[str, str]] = answer.raise_for_status().json()
            return content

        secret = create(
            "secrets",
            secret_name=name,
            secret_value={"api_key": "none"},
            provider="openai",
            auth_config={"api_base": provider_url},
        )
        model = create(
            "model-definitions",
            name=name,
            secret_id=secret["secret"]["secret_id"],
            provider="openai",
            model_name="gpt",
        )
        linked = {
            "model_definition_id": model["model_definition"]["model_definition_id"],
            "linkage_type": "PRIMARY",
            "weight": 1,
        }
        create("endpoints", name=name, usage_tracking=tracked, model_configs=[linked])
    return f"/gateway/{name}/mlflow/invocations"
