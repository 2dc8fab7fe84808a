"""The text of a root, for the person who is to sign it."""

from tuf.api.metadata import Key, Root  # type: ignore[attr-defined]  # not re-exported

from backoffice.signing.keys import key_name
from backoffice.signing.roots import ROLES


def described(root: Root, previous: Root | None = None) -> list[str]:
    """All that a root holds and changes, as lines for the person who is to sign it."""
    lines = [f"root {root.version}, valid until {root.expires:%Y-%m-%d %H:%M} UTC"]
    for role in ROLES:
        keys, threshold = root.roles[role].keyids, root.roles[role].threshold
        lines.append(f"  {role}: any {threshold} of" if len(keys) > 1 else f"  {role}:")
        lines += [f"    {_called(root.keys[key])}" for key in keys]
    if previous is not None:
        lines += [
            f"changes against root {previous.version}:",
            *(_changes(root, previous) or ["  none but the date"]),
        ]
    return lines


def _changes(root: Root, previous: Root) -> list[str]:
    lines = []
    for role in ROLES:
        now, before = root.roles[role], previous.roles[role]
        lines += [
            f"  {role}: without {_called(previous.keys[key])}"
            for key in before.keyids
            if key not in now.keyids
        ]
        lines += [
            f"  {role}: with {_called(root.keys[key])}"
            for key in now.keyids
            if key not in before.keyids
        ]
        if now.threshold != before.threshold:
            lines.append(f"  {role}: threshold {now.threshold}, was {before.threshold}")
    return lines


def _called(key: Key) -> str:
    return f"{key_name(key)} {key.keyid}".strip()
