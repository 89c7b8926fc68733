DROP TABLE crime_seen_again;
DROP VIEW crime;
DROP TABLE crime_version;
DROP TABLE crime_batch;
