FROM apache/airflow:3.3.2-python3.11
USER airflow

# `sync` also removes what the base image has beyond the pins: what runs here is what was tested together.
COPY --chown=airflow:0 requirements.txt /opt/airflow/
RUN uv pip sync --no-cache --compile-bytecode /opt/airflow/requirements.txt && uv pip check

COPY --chown=airflow:0 --chmod=0755 deploy/roomledger /home/airflow/.local/bin/
COPY --chown=airflow:0 include /opt/airflow/include
COPY --chown=airflow:0 dags /opt/airflow/dags
COPY --chown=airflow:0 plugins /opt/airflow/plugins
# A new volume that is mounted there takes its owner and mode from here.
RUN mkdir --mode=0775 /opt/airflow/inbox
ENV PYTHONPATH=/opt/airflow/include
