-- Two databases: Airflow's metadata, and the warehouse with an owner (`roomledger init`), a user that loads, and the groups
-- that `roomledger roles` grants its privileges to. The postgres image runs this once, on an empty volume. An unset password is a syntax error here and stops the start.
\getenv airflow_password AIRFLOW_DB_PASSWORD
\getenv warehouse_password WAREHOUSE_DB_PASSWORD
\getenv loader_password WAREHOUSE_LOADER_PASSWORD

CREATE ROLE airflow LOGIN PASSWORD :'airflow_password';
CREATE DATABASE airflow OWNER airflow;
REVOKE ALL ON DATABASE airflow FROM PUBLIC;

CREATE ROLE roomledger LOGIN PASSWORD :'warehouse_password';
CREATE DATABASE roomledger OWNER roomledger;
REVOKE ALL ON DATABASE roomledger FROM PUBLIC;
CREATE ROLE roomledger_loader NOLOGIN;
CREATE ROLE roomledger_reader NOLOGIN;
CREATE ROLE loader LOGIN PASSWORD :'loader_password' IN ROLE roomledger_loader;
