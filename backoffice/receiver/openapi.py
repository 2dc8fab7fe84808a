"""The receiver's description in OpenAPI 3.1, served at /v1/openapi.json.

docs/reports.md describes reports further.
"""

from http import HTTPStatus
from typing import Any

from validator.reports.receiver_answer import Reason

_GATE_ID = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}
_REPORT_ID = {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
_COUNT = {"type": "integer", "minimum": 0, "exclusiveMaximum": 2**53}
_NANOSECONDS = {"type": "integer", "minimum": 0, "exclusiveMaximum": 2**62}
_NO_CONTROL = r"^[^\u0000-\u001f\u007f]*$"
_NAME = {"type": "string", "maxLength": 64, "pattern": _NO_CONTROL}
_MARK = {
    "Turnike-Receiver": {
        "description": "On every answer of the receiver. An answer without it is of a proxy.",
        "schema": {"const": "1"},
    }
}
_ERROR = {
    "description": "Refused, and why in one line.",
    "headers": _MARK,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
}
_LATER = {
    **_ERROR,
    "headers": {**_MARK, "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}},
}

_REPORT_FIELDS: dict[str, Any] = {
    "report_id": _REPORT_ID
    | {"description": "A UUID of version 7, made at the gate. A retry sends the same one."},
    "kind": {"enum": ["denied boarding", "staff card used"]},
    "gate_id": _NAME,
    "lane": {"type": "integer", "minimum": 1, "maximum": 99},
    "outbox_id": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "seq": {
        "type": "integer",
        "minimum": 1,
        "exclusiveMaximum": 2**53,
        "description": "Counts within an outbox, without gaps.",
    },
    "refused_before": {
        "type": "integer",
        "minimum": 0,
        "exclusiveMaximum": 2**32,
        "description": "How many reports the gate refused, without room, since the one before.",
    },
    "boot_id": _NAME,
    "boottime_ns": _NANOSECONDS,
    "unix_s": _COUNT,
    "clock_synced": {"type": "boolean"},
    "list_version": _COUNT,
    "rule": _NAME,
    "sealed": {
        "type": "string",
        "maxLength": 128,
        "pattern": _NO_CONTROL,
        "description": "The UID in a libsodium sealed box, base64; empty if the gate had no key.",
    },
    "sealed_to": _NAME,
}


def _answers(good: int, what: str, schema: dict[str, Any], *more: int) -> dict[str, Any]:
    answers: dict[str, Any] = {
        str(good): {
            "description": what,
            "headers": _MARK,
            "content": {"application/json": {"schema": schema}},
        }
    }
    answers |= {str(code): _ERROR for code in (400, 408, 413, 421, *more)}
    answers["503"] = _LATER
    if HTTPStatus.UNSUPPORTED_MEDIA_TYPE in more:
        answers["429"] = _LATER
    return answers


def _body(schema: str) -> dict[str, Any]:
    return {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


_SIGNED: list[dict[str, list[str]]] = [{"gate": []}]

OPENAPI: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "Turnike receiver",
        "version": "1",
        "description": "Gates upload reports here. Bodies are JSON packed with gzip; an enrolment"
        " is plain JSON.",
    },
    "paths": {
        "/v1/enrol": {
            "post": {
                "operationId": "enrol",
                "summary": "Enrol a gate that has a token.",
                "requestBody": _body("Enrolment"),
                "responses": _answers(
                    201,
                    "Enrolled.",
                    {
                        "type": "object",
                        "required": ["gate_id"],
                        "properties": {
                            "gate_id": _GATE_ID,
                            "already": {
                                "type": "boolean",
                                "description": "The gate was enrolled with this key before;"
                                " the token is not valid.",
                            },
                        },
                    },
                    401,
                    403,
                ),
            }
        },
        "/v1/reports": {
            "post": {
                "operationId": "reports",
                "summary": "Upload reports, at most 200, oldest first. A report is safe only if"
                " the answer has it as stored or already.",
                "security": _SIGNED,
                "requestBody": _body("Reports"),
                "responses": _answers(
                    200, "The result of each.", {"$ref": "#/components/schemas/Results"}, 401, 415
                ),
            }
        },
        "/v1/gates/{gate_id}/status": {
            "post": {
                "operationId": "status",
                "summary": "Send a gate's status: any JSON object up to 64 KiB. One that is older"
                " than the last is not kept. The answer brings the fingerprint keys that the gate"
                " lacks, and an order to learn a card if an operator waits for one.",
                "security": _SIGNED,
                "parameters": [
                    {"name": "gate_id", "in": "path", "required": True, "schema": _GATE_ID}
                ],
                "requestBody": _body("Status"),
                "responses": _answers(
                    200,
                    "Whether it was kept, and the fingerprint keys that the status does not name.",
                    {"$ref": "#/components/schemas/Kept"},
                    401,
                    403,
                    415,
                ),
            }
        },
        "/v1/gates/{gate_id}/learned": {
            "post": {
                "operationId": "learned",
                "summary": "Answer an order to learn a card, which the answer to a status brought."
                " A card is sealed to the operator who signed the order.",
                "security": _SIGNED,
                "parameters": [
                    {"name": "gate_id", "in": "path", "required": True, "schema": _GATE_ID}
                ],
                "requestBody": _body("SignedText"),
                "responses": _answers(
                    200,
                    "Whether it was kept. An answer to an order for which nobody waits is not.",
                    {
                        "type": "object",
                        "required": ["kept"],
                        "properties": {"kept": {"type": "boolean"}},
                    },
                    401,
                    403,
                    415,
                ),
            }
        },
        "/v1/openapi.json": {
            "get": {
                "operationId": "page",
                "summary": "This page.",
                "responses": {
                    "200": {
                        "description": "OpenAPI.",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    }
                },
            }
        },
    },
    "components": {
        "securitySchemes": {
            "gate": {
                "type": "apiKey",
                "in": "header",
                "name": "Signature",
                "description": "RFC 9421 with the Ed25519 key of the gate: covers @method,"
                " @authority, @path, content-type, content-encoding and content-digest (RFC 9530);"
                " keyid is the gate's id, tag is turnike-gate.",
            }
        },
        "schemas": {
            "Refusal": {
                "type": "object",
                "required": ["error"],
                "properties": {
                    "error": {"type": "string"},
                    "reason": {
                        "enum": [reason.value for reason in Reason],
                        "description": "With 401, 404 and 421.",
                    },
                    "checked": {
                        "type": "object",
                        "description": "With 401, 404 and 421: the request as it was received.",
                        "required": ["method", "authority", "path"],
                        "properties": {
                            name: {"type": "string"} for name in ("method", "authority", "path")
                        },
                    },
                },
            },
            "Enrolment": {
                "type": "object",
                "additionalProperties": False,
                "required": ["gate_id", "token", "public_key"],
                "properties": {
                    "gate_id": _GATE_ID,
                    "token": {"type": "string", "minLength": 1, "maxLength": 128},
                    "public_key": {
                        "type": "string",
                        "pattern": "^[0-9a-f]{64}$",
                        "description": "Ed25519, hex.",
                    },
                },
            },
            "Report": {
                "type": "object",
                "additionalProperties": False,
                "required": list(_REPORT_FIELDS),
                "properties": _REPORT_FIELDS,
            },
            "Reports": {
                "type": "object",
                "additionalProperties": False,
                "required": ["reports"],
                "properties": {
                    "reports": {
                        "type": "array",
                        "maxItems": 200,
                        "items": {"$ref": "#/components/schemas/Report"},
                    }
                },
            },
            "Results": {
                "type": "object",
                "required": ["results"],
                "properties": {
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["id", "result"],
                            "properties": {
                                "id": _REPORT_ID,
                                "result": {"enum": ["stored", "already", "rejected"]},
                                "reason": {"type": "string"},
                            },
                        },
                    }
                },
            },
            "Status": {
                "type": "object",
                "properties": {
                    "fingerprint_keys": {
                        "description": "The ids of the fingerprint keys that the gate holds: an"
                        " array of 16 hex digits each. null if it cannot read them. Anything else"
                        " counts as none: the answer brings all.",
                    },
                    "every_s": {
                        "description": "The interval of the gate's statuses, in seconds. A gate"
                        " without three statuses in a row is silent.",
                    },
                },
            },
            "SignedText": {
                "type": "object",
                "additionalProperties": False,
                "required": ["text", "key", "signature"],
                "properties": {
                    "text": {
                        "type": "string",
                        "maxLength": 1024,
                        "description": "JSON: an order, or an answer to one.",
                    },
                    "key": {
                        "type": "string",
                        "pattern": "^[0-9a-f]{64}$",
                        "description": "The Ed25519 key that signed it, hex: a key of the city's"
                        " root for targets, or the gate's own.",
                    },
                    "signature": {
                        "type": "string",
                        "pattern": "^[0-9a-f]{128}$",
                        "description": "Of the words of its purpose and the text.",
                    },
                },
            },
            "Kept": {
                "type": "object",
                "required": ["kept"],
                "properties": {
                    "kept": {
                        "type": "boolean",
                        "description": "False for a status that was received before, or is signed"
                        " with another nonce than the next.",
                    },
                    "next_nonce": {
                        "type": "string",
                        "pattern": "^[0-9a-f]{32}$",
                        "description": "The `nonce` that the signature of the next status must"
                        " have; good once, for an hour. Absent for a request without a nonce.",
                    },
                    "learn": {
                        "$ref": "#/components/schemas/SignedText",
                        "description": "An order to learn a card. Absent if nobody waits for one.",
                    },
                    "fingerprint_keys": {
                        "type": "array",
                        "description": "Absent where no keys are sent.",
                        "items": {
                            "type": "object",
                            "required": ["id", "sealed"],
                            "properties": {
                                "id": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
                                "sealed": {
                                    "type": "string",
                                    "contentEncoding": "base64",
                                    "description": "The key's file in a libsodium sealed box for"
                                    " the gate's own Ed25519 key, converted to X25519.",
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}
