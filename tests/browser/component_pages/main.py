"""One Streamlit app whose pages each mount one component."""

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent
st.set_page_config(layout="wide")
NAMES = ["gallery", "bars", "card", "full_card", "figures", "drafts", "label", "left", "fragments"]
pages = [st.Page(HERE / f"{name}_page.py", url_path=f"{name}_page") for name in NAMES]
st.navigation([st.Page(lambda: st.write("choose a page"), title="start", default=True), *pages], position="hidden").run()
