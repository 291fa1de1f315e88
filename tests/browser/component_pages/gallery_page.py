"""A gallery whose state and callbacks are written out below it. ?n=, ?size=, ?px= choose what is shown."""

import streamlit as st

from app.components.gallery import GalleryState, Tile, gallery
from app.images import sprite_sheet
from tests.browser.component_pages.pictures import CLASSES, images

n, size, px = (int(st.query_params.get(name, default)) for name, default in (("n", 100), ("size", 96), ("px", 32)))
told = st.session_state.setdefault("told", [])
STATES = {3: "kept", 5: "relabelled", 8: "pruned", 13: "softened", 17: "skipped"}


def selected(state: GalleryState) -> None:
    told.append(f"selected {len(state.selected)}")


def opened(sample_id: int) -> None:
    told.append(f"opened {sample_id}")


def tile(i: int) -> Tile:
    relabelled = CLASSES[(i + 2) % 10] if STATES.get(i) == "relabelled" else None
    return Tile(
        id=i,
        label=relabelled or CLASSES[i % 10],
        was=CLASSES[i % 10] if relabelled else None,
        flagged=i % 11 == 4,
        state=STATES.get(i),
        score=(i * 7 % 100) / 100,
        note="three teachers agree" if i % 11 == 4 else "",
    )


ids = [i + 10 for i in range(n)] if st.toggle("other images") else list(range(n))
if st.button("lasso"):
    st.session_state["lasso"] = st.session_state.get("lasso", 0) + 1
lasso = st.session_state.get("lasso", 0)
echo = ((st.session_state.get("gallery") or {}).get("view") or {}).get("selected", [])
result = gallery(
    sprite_sheet(images(220, px), ids),
    [tile(i) for i in ids],
    key="gallery",
    size=size,
    selected=[20, 21, 22] if lasso else echo,
    revision=str(lasso),
    on_select=selected,
    on_open=opened,
)
st.code(f"selected={list(result.selected)} focused={result.focused} opened={result.opened} told={told}", language=None)
