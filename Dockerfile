# Stillroom in a container. The same file serves CPU and CUDA: torch's Linux wheel carries CUDA unless pip is pointed at
# CPU wheels, which PIP_OPTIONS (say, "--find-links /wheels") can do.
FROM python:3.11-slim

ARG PIP_OPTIONS=""
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1

WORKDIR /stillroom
COPY requirements.lock .
RUN python -m pip install --disable-pip-version-check $PIP_OPTIONS --requirement requirements.lock

COPY app app
COPY analysis analysis
COPY data data
COPY LICENSE README.md pyproject.toml ./

RUN useradd --create-home stillroom && mkdir /workspace && chown stillroom /workspace
USER stillroom
VOLUME /workspace
EXPOSE 8501

HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD python -c "import urllib.request as r; r.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"

# Inside a container every address is the container's own; compose.yaml publishes the port on loopback only, so nobody has to
# log in. Published wider, the command is "--auth" and a login file in place of "--without-login".
ENTRYPOINT ["python", "-m", "app", "--workspace", "/workspace", "--host", "0.0.0.0", "--headless"]
CMD ["--without-login", "data/demo/FashionMNIST-LT_DM_20ipc"]
