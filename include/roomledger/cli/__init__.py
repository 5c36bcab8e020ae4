"""The `roomledger` command: every verb of the pipeline for people and scripts, without Airflow running."""
