"""What /openapi.json promises, tried with whatever schemathesis thinks of: no request may make the server fail."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

#: Names models that there are, so that requests get behind the first check, and lets none generate much.
HOOKS = """
import schemathesis

MOST = {"max_tokens": 4, "max_completion_tokens": 4, "n": 2, "best_of": 2}

def tamed(fields, path):
    model = "mobilenet-v2" if path == "/v1/classify" else "tiny"
    fields |= {"model": model for name in fields if name == "model" and isinstance(fields[name], str)}
    for name in MOST.keys() & fields.keys():
        if isinstance(fields[name], int) and not isinstance(fields[name], bool):
            fields[name] = min(fields[name], MOST[name])
    return fields

@schemathesis.hook
def map_body(context, body):
    return tamed(body, context.operation.path) if isinstance(body, dict) else body

@schemathesis.hook
def map_query(context, query):
    return tamed(query, context.operation.path) if isinstance(query, dict) else query
"""

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method"


def test_no_request_that_the_description_permits_or_forbids_makes_the_server_fail(start, tmp_path: Path):
    server = start("--model", "tiny", "--model", "mobilenet-v2")
    (tmp_path / "hooks.py").write_text(HOOKS)
    command = [Path(sys.executable).with_name("st"), "run", f"{server.url}/openapi.json", "--checks", CHECKS]
    limits = ["--max-examples", "40", "--seed", "1", "--workers", "1", "--request-timeout", "600", "--no-color"]
    environment = {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    ran = subprocess.run(
        [*command, *limits], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=1800, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_description_names_every_route(server):
    with urllib.request.urlopen(f"{server.url}/openapi.json") as answer:
        document = json.load(answer)
    routes = {"/v1/completions", "/v1/chat/completions", "/v1/models", "/v1/models/{id}", "/v1/classify", "/infer"}
    routes |= {"/tokenize", "/detokenize", "/apply-template"}
    assert routes | {"/healthz", "/readyz", "/health", "/version", "/metrics"} == set(document["paths"])
