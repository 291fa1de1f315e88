"""The script that Streamlit reruns; away from pages/, which Streamlit would otherwise take for its own old kind of pages."""
