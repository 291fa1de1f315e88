"""One Streamlit app whose pages each mount one component."""

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent
st.set_page_config(layout="wide")
names = ["gallery_page", "bars_page", "card_page", "full_card_page", "figures_page", "drafts_page", "label_page"]
pages = [st.Page(HERE / f"{name}.py", url_path=name) for name in names]
st.navigation([st.Page(lambda: st.write("choose a page"), title="start", default=True), *pages], position="hidden").run()
