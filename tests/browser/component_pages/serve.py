"""Serve the component pages: ``python serve.py PORT``."""

import sys
from pathlib import Path

import streamlit as st

if __name__ == "__main__":
    st.App(Path(__file__).with_name("main.py")).run(
        config={
            "server.address": "127.0.0.1",
            "server.port": int(sys.argv[1]),
            "server.headless": True,
            "server.fileWatcherType": "none",
            "browser.gatherUsageStats": False,
            "client.toolbarMode": "minimal",
        }
    )
