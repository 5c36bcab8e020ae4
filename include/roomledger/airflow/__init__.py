"""The only place besides `dags/` and `plugins/` that knows Airflow."""
