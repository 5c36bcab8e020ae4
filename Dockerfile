FROM apache/airflow:3.3.2-python3.11
USER airflow

# `sync` also removes packages of the base image that are not pinned: the image has exactly the tested versions.
COPY --chown=airflow:0 requirements.txt /opt/airflow/
RUN uv pip sync --no-cache --compile-bytecode /opt/airflow/requirements.txt && uv pip check

COPY --chown=airflow:0 --chmod=0755 deploy/roomledger /home/airflow/.local/bin/
COPY --chown=airflow:0 include /opt/airflow/include
COPY --chown=airflow:0 dags /opt/airflow/dags
COPY --chown=airflow:0 plugins /opt/airflow/plugins
RUN python -m compileall -q /opt/airflow/include /opt/airflow/dags /opt/airflow/plugins
# A new volume that is mounted here gets this owner and mode.
RUN mkdir --mode=0775 /opt/airflow/inbox
ENV PYTHONPATH=/opt/airflow/include
