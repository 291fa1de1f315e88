"""What every card has that is answered by keys: the queue of events, the keys, whether all is saved, a search of classes."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent
QUEUE_JS = (_HERE / "event_queue.js").read_text(encoding="utf-8")
_OTHERS = ("card_parts.js", "key_switch.js", "card_mount.js", "class_search.js")
PARTS_JS = "\n".join([QUEUE_JS, *((_HERE / name).read_text(encoding="utf-8") for name in _OTHERS)])
PARTS_CSS = "\n".join((_HERE / name).read_text(encoding="utf-8") for name in ("card_parts.css", "class_search.css"))
