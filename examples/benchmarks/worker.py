"""Serve one peer in its own process; requests and answers are lines of JSON.

A request is a list with the name of a method of the peer and its arguments, sent by `workers.py`.
"""

import importlib
import json
import os
import sys

from cases import Case
from peers import PEERS


def load_peer(name, n_threads):
    """Import the library and create the peer."""
    module, class_name = PEERS[name]
    return getattr(importlib.import_module(module), class_name)(n_threads)


def answer_to(peer, method, *arguments):
    """Call a method; a case is passed as a list of its fields."""
    arguments = [as_case(a) if isinstance(a, list) else a for a in arguments]
    return {"result": getattr(peer, method)(*arguments)}


def as_case(fields):
    """Convert lists from JSON back to tuples."""
    case = Case(*fields)
    return case._replace(hidden_layer_sizes=tuple(case.hidden_layer_sizes))


def serve(peer, requests, answers):
    """Answer all requests; errors are sent as answers."""
    for line in requests:
        try:
            answer = answer_to(peer, *json.loads(line))
        except Exception as error:
            answer = {"error": describe(error)}
        send(answer, answers)


def describe(error):
    """Return the type of an error and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


def send(answer, answers):
    """Write an answer as a line and flush it."""
    print(json.dumps(answer), file=answers, flush=True)


def main():
    """Serve on the original standard output; output of libraries goes to standard error."""
    name, n_threads = sys.argv[1:]
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        try:
            peer = load_peer(name, int(n_threads))
            greeting = {"result": peer.describe()}
        except Exception as error:
            missing = isinstance(error, ModuleNotFoundError)
            greeting = {"error": "not installed" if missing else describe(error)}
        send(greeting, answers)
        if "result" in greeting:
            serve(peer, sys.stdin, answers)


if __name__ == "__main__":
    main()
