DROP TABLE outbox;
DROP TABLE alert_version;
DROP TABLE alert;
