-- The back office's databases on PostgreSQL. As its superuser, once: psql -f turnike-office.sql
-- Each Unix user (deploy/sysusers.d) is a role of its name, and comes in over the local socket (peer in pg_hba.conf).
-- In backoffice.toml, without a user in either, so that each process comes as its own:
--     database = "postgresql+psycopg:///turnike"
--     [receiver]
--     database = "postgresql+psycopg:///turnike_reports"

CREATE ROLE "turnike-office" LOGIN;
CREATE ROLE "turnike-receiver" LOGIN;
GRANT "turnike-receiver" TO "turnike-office";
CREATE DATABASE turnike OWNER "turnike-office";
CREATE DATABASE turnike_reports OWNER "turnike-receiver";
-- PostgreSQL lets every role into every database unless it is revoked.
REVOKE ALL ON DATABASE turnike FROM PUBLIC;
REVOKE ALL ON DATABASE turnike_reports FROM PUBLIC;
-- The role that comes first makes the tables: they are the receiver's all the same.
ALTER ROLE "turnike-office" IN DATABASE turnike_reports SET role = 'turnike-receiver';
