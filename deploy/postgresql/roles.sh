#!/bin/sh
# Run once by the database's image over an empty data folder: the roles with their passwords, and the database of their owner.
# On a server of your own do the same by hand, then `tagwatch db init` and `tagwatch db roles` as tagwatch_owner.
set -eu
word() { tr -d '\r\n' < "/run/secrets/$1_password"; }
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username postgres --dbname postgres \
  --set owner="$(word owner)" --set service="$(word service)" --set upkeep="$(word upkeep)" \
  --set reader="$(word reader)" --set backup="$(word backup)" <<'SQL'
CREATE ROLE tagwatch_owner LOGIN PASSWORD :'owner';
CREATE ROLE tagwatch_service LOGIN PASSWORD :'service';
CREATE ROLE tagwatch_upkeep LOGIN PASSWORD :'upkeep' IN ROLE tagwatch_owner;
CREATE ROLE tagwatch_reader LOGIN PASSWORD :'reader';
CREATE ROLE tagwatch_backup LOGIN PASSWORD :'backup';
CREATE DATABASE tagwatch OWNER tagwatch_owner;
REVOKE CONNECT, TEMPORARY ON DATABASE tagwatch FROM PUBLIC;
\connect tagwatch
CREATE EXTENSION IF NOT EXISTS timescaledb;
SQL
