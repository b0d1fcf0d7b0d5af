"""A command as a form: what to ask for, and the command that was typed.

Pure. What cannot be understood is handed on as it was typed, so that the command itself says what is wrong with it. An
optional field that is left empty is not sent: the command's default holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from .. import errors
from ..core import strict
from ..core.kind import Command
from .deps import Form

C = TypeVar("C", bound=Command)
CSRF = "csrf_token"
WHOLE = "_"
_NOTHING: Any = object()
_ONE_LINE = 255
_INTEGER = re.compile(r"[+-]?[0-9]{1,16}", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]{1,16}(\.[0-9]{1,16})?([eE][+-]?[0-9]{1,2})?", re.ASCII)
_ITS_SUBJECT = re.compile(r"^(Input|String|Value|List|Dictionary) should ")
_FORMATS = {"email": "email", "uri": "url"}
_TEXTS = ("text", "email", "url")


def label(name: str) -> str:
    """A name as the label of a field or a button."""
    return name.replace("_", " ").capitalize()


def fields(command: type[Command]) -> list[dict[str, Any]]:
    """What a form for the command asks for, in the command's order."""
    schema = command.model_json_schema()
    known, shared = schema.get("properties", {}), schema.get("$defs", {})
    required = set(schema.get("required", ()))
    return [
        _field(name, info, _plain(known[name], shared), required=name in required)
        for name, info in command.model_fields.items()
    ]


def read(command: type[C], form: Form) -> C:
    """The command that was typed. Raises Invalid: everything that is wrong with it, field by field."""
    asked = {field["name"]: field for field in fields(command)}
    found: dict[str, Any] = {name: form[name] for name in form if name not in asked and name != CSRF}
    unreadable: dict[str, dict[str, str]] = {}
    for name, field in asked.items():
        try:
            typed = _typed(field, form)
        except errors.Malformed as refusal:
            reason = refusal.message.partition(": ")[2] or refusal.message
            unreadable[name] = {"field": name, "message": f"{field['label']} is not JSON: {reason}"}
        else:
            if typed is not _NOTHING:
                found[name] = typed
    if not unreadable:
        return strict.check(command, found)
    try:
        strict.check(command, found)
    except errors.Invalid as refusal:
        rest = (item for item in refusal.facts.get("fields", ()) if item["field"] not in unreadable)
        raise errors.Invalid(fields=[*unreadable.values(), *rest]) from None
    raise errors.Invalid(fields=list(unreadable.values()))


def typed(form: Mapping[str, str]) -> dict[str, str]:
    """What people typed: a browser sends a line break as two characters, which nobody typed."""
    return {name: value.replace("\r\n", "\n") for name, value in form.items() if name != CSRF}


def kept(command: type[Command], form: Form) -> dict[str, Any]:
    """What was typed, to be shown again in the form."""
    return {
        field["name"]: form.all(field["name"]) if field["type"] == "checkboxes" else form.get(field["name"], "")
        for field in fields(command)
    }


def faults(command: type[Command], error: errors.Refusal) -> dict[str, str]:
    """What is wrong, field by field; `_` stands for the form as a whole. A sentence names its field."""
    labels = {field["name"]: field["label"] for field in fields(command)}
    found: dict[str, str] = {}
    for item in error.facts.get("fields", ()):
        name = str(item["field"]).partition(".")[0]
        if name in labels:
            found.setdefault(name, _sentence(labels[name], str(item["message"])))
        else:
            found.setdefault(WHOLE, f"{item['field']}: {item['message']}")
    return found or {WHOLE: error.message}


def _sentence(label: str, message: str) -> str:
    """The command's word about a field, as a sentence of its own."""
    if message == "Field required":
        return f"{label} is required."
    if message.startswith("String should match pattern"):
        return f"{label} does not have the right form."
    return _ITS_SUBJECT.sub(f"{label} should ", message)


def _plain(schema: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """A field's schema without references; `nullable` when it may be null."""
    found = dict(schema)
    while "$ref" in found:
        name = str(found.pop("$ref")).rpartition("/")[2]
        found = {**shared[name], **found}
    ways = [_plain(way, shared) for way in found.pop("anyOf", ())]
    real = [way for way in ways if way.get("type") != "null"]
    if len(real) == 1:
        found = {**real[0], **found}
    elif real:
        found["type"] = "any"
    if len(real) != len(ways):
        found["nullable"] = True
    if "items" in found:
        found["items"] = _plain(found["items"], shared)
    return found


def _field(name: str, info: FieldInfo, schema: Mapping[str, Any], *, required: bool) -> dict[str, Any]:
    field: dict[str, Any] = {
        "name": name,
        "label": info.title or label(name),
        "type": _type(schema),
        "required": required,
        "help": info.description,
        "choices": _choices(schema),
        "multiline": False,
        "integer": False,
    }
    field |= _bounds(schema)
    longest = schema.get("maxLength")
    if field["type"] == "text" and longest is not None:
        field |= {"maxlength": longest, "multiline": longest > _ONE_LINE}
    if field["type"] == "lines":
        field |= {
            "hint": "One on each line.",
            "integer": schema["items"].get("type") == "integer",
            "multiline": True,
            "rows": 3,
        }
    if field["type"] == "json":
        field |= {"hint": "As JSON."}
    default = None if required else to_jsonable_python(info.get_default(call_default_factory=True))
    nullable = bool(schema.get("nullable"))
    if field["type"] == "select" and default is not None and not nullable:
        field["required"] = True
    if field["type"] == "checkbox":
        field |= {"required": False, "unchecked": False if required or default is True else _NOTHING}
    return field | {"default": _shown(field, default), "clears": nullable and default is not None}


def _type(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    match kind:
        case "string" if "enum" in schema or "const" in schema:
            return "select"
        case "string":
            return _FORMATS.get(schema.get("format", ""), "text")
        case "integer" | "number":
            return "select" if "enum" in schema or "const" in schema else "number"
        case "boolean":
            return "select" if schema.get("nullable") else "checkbox"
        case "array" if "enum" in schema.get("items", {}):
            return "checkboxes"
        case "array" if schema.get("items", {}).get("type") in ("string", "integer"):
            return "lines"
        case _:
            return "json"


def _choices(schema: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    if schema.get("type") == "boolean" and schema.get("nullable"):
        return [("true", "Yes"), ("false", "No")]
    known = schema.get("items", {}) if schema.get("type") == "array" else schema
    among: Sequence[Any] = known.get("enum", [known["const"]] if "const" in known else ())
    return [(str(choice), str(choice)) for choice in among if choice is not None] or None


def _bounds(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The limits of a number; `integer` also for a choice among numbers."""
    if schema.get("type") not in ("integer", "number"):
        return {}
    whole = schema["type"] == "integer"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None and "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + (1 if whole else 0)
    if high is None and "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - (1 if whole else 0)
    return {"min": low, "max": high, "step": schema.get("multipleOf", 1 if whole else "any"), "integer": whole}


def _shown(field: Mapping[str, Any], default: Any) -> Any:
    """A default as it stands in the form."""
    if default is None or (default != 0 and not default):
        return None
    match field["type"]:
        case "checkbox":
            return default is True
        case "lines":
            return "\n".join(map(str, default))
        case "checkboxes":
            return [str(item) for item in default]
        case "json":
            return json.dumps(default, ensure_ascii=False, indent=2, default=str)
        case "select" if isinstance(default, bool):
            return str(default).lower()
        case _:
            return str(default)


def _typed(field: Mapping[str, Any], form: Form) -> Any:
    """One field's value. An empty field that may be null and has another default means null, not that default."""
    name, kind = field["name"], field["type"]
    text = form.get(name, "").replace("\r\n", "\n")
    if kind == "checkbox":
        return True if text.strip().lower() in ("true", "on", "1", "yes") else field["unchecked"]
    if kind == "checkboxes":
        return form.all(name) or ([] if field["required"] else _NOTHING)
    if kind == "lines":
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        found = [_number(line, whole=True) if field["integer"] else line for line in lines]
        return found or ([] if field["required"] else _NOTHING)
    if not text.strip():
        if field["clears"] and name in form:
            return None
        return text if field["required"] and kind in _TEXTS else _NOTHING
    match kind:
        case "json":
            return strict.loads(text.encode())
        case "number":
            return _number(text.strip(), whole=field["integer"])
        case "select":
            return _chosen(field, text)
        case _:
            return text


def _number(text: str, *, whole: bool) -> Any:
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if not whole and _NUMBER.fullmatch(text) else text


def _chosen(field: Mapping[str, Any], text: str) -> Any:
    if field["choices"] == [("true", "Yes"), ("false", "No")] and text in ("true", "false"):
        return text == "true"
    return _number(text, whole=True) if field["integer"] else text
