"""The only package besides `dags/` and `plugins/` that imports Airflow."""
